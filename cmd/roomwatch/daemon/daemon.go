// Package daemon is what `roomwatch run` runs: the parts of the program, tied
// together: state with its committer, poller and receiver of callbacks, publisher with
// pulse, lease and key-value bucket, the page and the service over NATS, which have
// connections of their own, metrics and traces, and on request a JetStream server.
//
// daemon.go is the wiring, from top to bottom. turns.go decides whether this process
// watches or stands by; watch.go is the work of the one that watches. callbacks.go and
// peers.go take what the vendor calls, here or at a standby. status.go says how the parts
// are doing, role.go who writes, conditions.go what keeps the daemon from its work, and
// answers.go says so over HTTP and NATS. explain.go says what is known of one room. pulse.go and
// bucket.go look after what the stream has beside the events. embedded.go and embeddedtend.go are
// the JetStream server for those who have none, disk.go its disk, natslog.go its log. remind.go
// logs what lasts, info.go has the labels of the metrics, and outside.go what tests replace.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/errgroup"

	"roomwatch/cmd/internal/program"
	"roomwatch/cmd/internal/serve"
	"roomwatch/cmd/roomwatch/bus"
	"roomwatch/cmd/roomwatch/config"
	"roomwatch/cmd/roomwatch/tracing"
	"roomwatch/cmd/roomwatch/web"
	"roomwatch/poller"
	"roomwatch/poller/webhook"
	"roomwatch/publisher"
	"roomwatch/publisher/lease"
	"roomwatch/publisher/natsconn"
	"roomwatch/state"
)

// A Daemon is all the parts, tied together: open makes them in their order, and Close
// takes them down.
type Daemon struct {
	// EmbeddedPatience is how long the embedded server may fail to store before it
	// is restarted; it doubles with each start that does not help. It may be
	// changed before Run.
	EmbeddedPatience time.Duration

	cfg      *config.Config
	outside  outside
	started  time.Time
	log      *slog.Logger
	metrics  *prometheus.Registry
	tracing  *tracing.Tracing
	listener net.Listener // nil: no HTTP
	callback net.Listener // nil: no callbacks

	store    *state.Store
	embedded *embedded // nil: the server of NATS_URL
	conn     *natsconn.Conn
	pub      *publisher.Publisher
	pulse    *publisher.Pulse
	poll     *poller.Poller
	tenure   tenure            // of the writer
	lease    *lease.Lease      // nil: a second one takes over at once
	receiver *webhook.Receiver // nil: no callbacks
	bucket   *publisher.Bucket // nil: none
	web      *web.Server
	service  *bus.Service // nil: none, the stream has its subjects
}

// New opens and connects everything. After an error nothing is left open.
func New(ctx context.Context, cfg *config.Config, log *slog.Logger) (*Daemon, error) {
	return open(ctx, cfg, log, outside{})
}

func open(ctx context.Context, cfg *config.Config, log *slog.Logger, out outside) (_ *Daemon, err error) {
	d := &Daemon{EmbeddedPatience: embeddedPatience, cfg: cfg, outside: out, started: time.Now(), log: log, metrics: prometheus.NewRegistry()}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.Close())
		}
	}()
	d.metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	d.metrics.MustRegister(infoMetrics(cfg.SDKAppID)...)
	if d.tracing, err = tracing.New(ctx, log); err != nil {
		return nil, fmt.Errorf("%w: %w", config.ErrInvalid, err)
	}
	if d.poll, err = newPoller(cfg, log, d.metrics, d.tracing.Tracer, out, d.tenure.mayAsk); err != nil {
		return nil, fmt.Errorf("%w: %w", config.ErrInvalid, err)
	}
	store := state.Config{Path: cfg.StatePath(), SDKAppID: cfg.SDKAppID, Policy: cfg.Policy(), Log: log, Metrics: d.metrics, OpenFile: out.openFile}
	if reader := d.poll.Reader(); reader != nil {
		store.Propose = reader.Propose
	}
	d.store, err = state.Open(store)
	if err != nil {
		return nil, err
	}
	if cfg.HTTPAddr != "off" {
		if d.listener, err = out.listener(ctx, cfg.HTTPAddr); err != nil {
			return nil, fmt.Errorf("serve http: %w; set ROOMWATCH_HTTP_ADDR to a free address, or to off", err)
		}
	}
	if err = d.listenForCallbacks(ctx); err != nil {
		return nil, err
	}
	connect := cfg.Connection(log)
	if connect.InProcess = out.nats; cfg.NATSURL == "" {
		if d.embedded, err = startEmbedded(ctx, cfg.DataDir, cfg.NATSPort, log); err != nil {
			return nil, err
		}
		connect.InProcess = d.embedded
	}
	if d.conn, err = natsconn.Connect(ctx, connect); err != nil {
		return nil, err
	}
	d.pub, err = publisher.New(publisher.Config{
		Conn: d.conn, Outbox: d.store, Stream: cfg.StreamConfig(), SDKAppID: cfg.SDKAppID,
		Version: program.Version(), Log: log, Metrics: d.metrics, Tracer: d.tracing.Tracer,
	})
	if err != nil {
		return nil, err
	}
	d.pulse = publisher.NewPulse(d.pub, d.store, d.metrics)
	d.makeLease()
	d.metrics.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "roomwatch", Name: "writer",
		Help: "1 while this process is the writer of its application, 0 while it stands by."}, d.writes))
	d.makeBucket()
	if err = d.makeAnswers(connect); err != nil {
		return nil, err
	}
	return d, nil
}

// NewPoller returns the poller of a configuration. Metrics and tracer may be nil.
func NewPoller(cfg *config.Config, log *slog.Logger, metrics prometheus.Registerer, tracer trace.Tracer) (*poller.Poller, error) {
	return newPoller(cfg, log, metrics, tracer, outside{}, nil)
}

func newPoller(cfg *config.Config, log *slog.Logger, metrics prometheus.Registerer, tracer trace.Tracer, out outside, permit func() error) (*poller.Poller, error) {
	endpoint, err := poller.ParseEndpoint(cfg.Endpoint)
	if err != nil {
		return nil, fmt.Errorf("ROOMWATCH_ENDPOINT: %w", err)
	}
	signer, err := cfg.Signer(log)
	if err != nil {
		return nil, err
	}
	return poller.New(poller.Config{
		Endpoint: endpoint, Signer: signer,
		RequestsPerSecond: cfg.RequestsPerSecond, PointReadsPerSecond: cfg.PointReadsPerSecond, ProbeShare: cfg.ProbeShare, RequestTimeout: cfg.RequestTimeout, Interval: cfg.Interval,
		Log: log, Metrics: metrics, Tracer: tracer, Dial: out.dial, Permit: permit,
	})
}

// Wake has the next sweep begin at once.
func (d *Daemon) Wake() { d.poll.Wake() }

// Run watches, or stands by, until ctx is done or a part gives up.
func (d *Daemon) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	if d.listener != nil {
		l := d.listener
		d.listener = nil // closed by serve
		g.Go(func() error { return d.web.Serve(ctx, l) })
	}
	if d.callback != nil {
		l := d.callback
		d.callback = nil // closed by serve
		g.Go(func() error { return serve.Server{Handler: d.receiver, Log: d.log}.Serve(ctx, l) })
	}
	g.Go(func() error { return d.tellPulse(ctx) })
	g.Go(func() error {
		d.remind(ctx)
		return nil
	})
	if d.bucket != nil {
		g.Go(func() error { return d.tendBucket(ctx) })
	}
	g.Go(func() error { return d.service.Run(ctx) })
	if d.embedded != nil {
		g.Go(func() error {
			d.embedded.tend(ctx, d.EmbeddedPatience, d.pub.Status)
			return nil
		})
	}
	g.Go(func() error { return d.takeTurns(ctx) })
	return g.Wait()
}

// Close takes everything down that is up.
func (d *Daemon) Close() error {
	var errs []error
	if d.lease != nil {
		d.lease.Close()
	}
	if d.conn != nil {
		d.conn.Close()
	}
	if d.embedded != nil {
		now, cancel := context.WithCancel(context.Background())
		cancel()
		d.embedded.stop(now)
	}
	for _, l := range []net.Listener{d.listener, d.callback} {
		if l != nil {
			errs = append(errs, l.Close())
		}
	}
	if d.store != nil {
		errs = append(errs, d.store.Close())
	}
	if d.tracing != nil {
		d.tracing.Close()
	}
	return errors.Join(errs...)
}

// NATSURL says where the daemon's events can be read; empty while NATS is away.
func (d *Daemon) NATSURL() string {
	if d.embedded != nil {
		return d.embedded.url()
	}
	return d.conn.Server()
}

// HTTPAddr is where the status page is, before Run; empty if it is nowhere.
func (d *Daemon) HTTPAddr() string {
	if d.listener == nil {
		return ""
	}
	return d.listener.Addr().String()
}

// Recovered is closed when the stream is there and was compared with the state.
func (d *Daemon) Recovered() <-chan struct{} { return d.pub.Recovered() }

// Conn is the connection to NATS.
func (d *Daemon) Conn() *natsconn.Conn { return d.conn }
