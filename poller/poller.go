package poller

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"roomwatch/diff"
	"roomwatch/diff/retry"
	"roomwatch/diff/spans"
)

const (
	defaultInterval = 10 * time.Second
	defaultTimeout  = 5 * time.Second
	failedPause     = time.Second     // at least, after a failed sweep, unless the interval is shorter
	refusedPause    = time.Minute     // after the configuration was refused; the next sweep is the probe
	endGrace        = 5 * time.Second // that End has left when ctx is done
)

// A Config holds what a [Poller] needs.
type Config struct {
	Endpoint Endpoint // zero means china
	Signer   *Signer  // required

	// RequestsPerSecond bounds the requests, retries included; 0 means 9.5. More
	// than 10 is refused for the vendor's endpoints.
	RequestsPerSecond float64
	// PointReadsPerSecond bounds the requests of get_room_info in the same way; 0
	// means none of them, and then [Poller.Reader] is nil. More than 200 is refused
	// for the vendor's endpoints.
	PointReadsPerSecond float64
	// ProbeShare is the part of RequestsPerSecond, up to a half, that may go to places
	// where rooms were found before; 0 means none. Without point reads there are no probes.
	ProbeShare     float64
	RequestTimeout time.Duration // for one request; 0 means 5 s
	Interval       time.Duration // from the start of a sweep to the start of the next; 0 means 10 s

	// Permit is asked right before each request; its error keeps the request back. Nil
	// permits all.
	Permit func() error

	Log     *slog.Logger          // nil discards
	Metrics prometheus.Registerer // nil registers no metrics
	Tracer  trace.Tracer          // nil traces nothing

	// Dial makes the connections to the service; nil means a [net.Dialer].
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// A Poller continuously polls the list of live rooms.
type Poller struct {
	interval time.Duration
	log      *slog.Logger
	tracer   trace.Tracer
	fetch    *fetcher
	metrics  *metrics
	reader   *Reader // nil: no point reads
	prober   *prober // nil: no probes
	wake     chan struct{}
}

// New returns a Poller. It does no I/O. The error names everything that is
// wrong with c.
func New(c Config) (*Poller, error) {
	if c.RequestsPerSecond == 0 {
		c.RequestsPerSecond = defaultRate
	}
	if c.RequestTimeout == 0 {
		c.RequestTimeout = defaultTimeout
	}
	if c.Interval == 0 {
		c.Interval = defaultInterval
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Tracer == nil {
		c.Tracer = noop.Tracer{}
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	q := listQuota(c.RequestsPerSecond)
	h := &health{log: c.Log}
	m := newMetrics(gauges(c.Interval, q, c.Signer, h))
	if c.Metrics != nil {
		if err := m.register(c.Metrics); err != nil {
			return nil, err
		}
	}
	p := &Poller{wake: make(chan struct{}, 1), interval: c.Interval, log: c.Log, tracer: c.Tracer, metrics: m, fetch: &fetcher{
		client: newClient(c.Endpoint, c.Signer, c.RequestTimeout, 1, c.Dial), signer: c.Signer,
		quota: q, count: m.request, health: h, budget: retryBudget, permit: c.permit(),
	}}
	var err error
	if c.PointReadsPerSecond > 0 {
		if p.reader, err = newReader(c); err != nil {
			return nil, err
		}
	}
	if p.reader != nil && c.ProbeShare > 0 {
		if p.prober, err = newProber(c, p); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// Reader returns what makes the point reads; nil if there are none.
func (p *Poller) Reader() *Reader { return p.reader }

func (c Config) check() error {
	var errs []error
	if c.Signer == nil {
		errs = append(errs, errors.New("signer: missing"))
	}
	switch r := c.RequestsPerSecond; {
	case !(r > 0) || math.IsInf(r, 1): // so that NaN is refused too
		errs = append(errs, fmt.Errorf("requests per second %v: not a positive number", r))
	case r > vendorRate && c.Endpoint.Vendor():
		errs = append(errs, fmt.Errorf("requests per second %v: %s allows %d, the vendor's limit", r, c.Endpoint, vendorRate))
	}
	switch r := c.PointReadsPerSecond; {
	case !(r >= 0) || math.IsInf(r, 1):
		errs = append(errs, fmt.Errorf("point reads per second %v: neither a positive number nor 0", r))
	case r > readRate && c.Endpoint.Vendor():
		errs = append(errs, fmt.Errorf("point reads per second %v: %s allows %d, the vendor's limit", r, c.Endpoint, readRate))
	}
	if s := c.ProbeShare; !(s >= 0 && s <= maxProbeShare) {
		errs = append(errs, fmt.Errorf("probe share %v: not between 0 and %v", s, maxProbeShare))
	}
	if c.RequestTimeout < 0 {
		errs = append(errs, fmt.Errorf("request time-out %v: negative", c.RequestTimeout))
	}
	if c.Interval < 0 {
		errs = append(errs, fmt.Errorf("interval %v: negative", c.Interval))
	}
	return errors.Join(errs...)
}

// Run sweeps the list until ctx is done, and then returns nil. Nothing else
// ends it: an error of the service or of the sink fails a sweep, and is told by
// [Poller.Status] and the log.
//
// A sweep begins one interval after the one before it began, or at once if that
// took longer or the sink asks for it. After a failure Run keeps the interval
// and pauses for a second at least (less if the interval is shorter); after
// a refused configuration it pauses for a minute. Run may be called again, but not
// beside itself.
func (p *Poller) Run(ctx context.Context, sink Sink) error {
	defer p.fetch.client.close()
	if p.prober != nil {
		var probes sync.WaitGroup
		probes.Go(func() { p.prober.run(ctx, sink) })
		defer probes.Wait()
	}
	for ctx.Err() == nil {
		begin := time.Now()
		again, err := p.sweep(ctx, sink)
		p.rest(ctx, p.pause(time.Since(begin), again, err))
	}
	return nil
}

// rest waits for d, or until [Poller.Wake] or the end of ctx.
func (p *Poller) rest(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-p.wake:
	case <-ctx.Done():
	}
}

// Wake has the next sweep begin now: somebody has changed what the service refused.
func (p *Poller) Wake() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// pause returns how long the next sweep has to wait after one that took this long.
func (p *Poller) pause(took time.Duration, again bool, err error) time.Duration {
	rest := p.interval - took
	switch {
	case errors.Is(err, ErrConfig):
		return refusedPause
	case err != nil:
		return max(rest, min(p.interval, failedPause))
	case again:
		return 0
	default:
		return rest
	}
}

// sweep reads the list once, hands the end of it to the sink, and notes the
// outcome. The error says why the sweep is not complete.
func (p *Poller) sweep(ctx context.Context, sink Sink) (again bool, err error) {
	ctx, span := p.tracer.Start(ctx, "sweep")
	defer func() { spans.End(span, err) }()
	s := newSweep(p.fetch, p.fetch.health, p.metrics, p.tracer, sink, p.places())
	s.health.progress(s.report())
	defer s.health.progress(nil)
	err = s.read(ctx)
	r := s.report()
	span.SetAttributes(attribute.Int("roomwatch.pages", r.Pages), attribute.Int("roomwatch.rooms", r.Rooms), attribute.Int("roomwatch.retries", r.Retries))
	if err != nil {
		r.End = time.Now()
	}

	outlive, cancel := withGrace(ctx, endGrace)
	defer cancel()
	again, endErr := sink.End(outlive, diff.Sweep{
		Begin: r.Begin, End: r.End, Complete: err == nil, RequestID: s.requestID, Pages: r.Pages, Seen: s.seen,
	})
	if endErr != nil {
		endErr = fmt.Errorf("end of sweep: %w: %w", ErrSink, endErr)
		if err != nil {
			endErr = fmt.Errorf("%w; %w", err, endErr)
		}
		err = endErr
	}
	if err != nil && ctx.Err() != nil {
		return false, err // not a failure: the watch was ended
	}
	p.note(*r, err)
	if places := p.places(); err == nil && places != nil {
		places.learn(s.visits)
	}
	return again, err
}

// places returns the places of probes; nil if there are none.
func (p *Poller) places() *places {
	if p.prober == nil {
		return nil
	}
	return p.prober.places
}

func (p *Poller) note(r Report, err error) {
	p.metrics.sweep(r, err)
	if err != nil {
		p.fetch.health.failed(err)
	} else {
		p.fetch.health.complete(r)
	}
	p.log.Debug("sweep ended", "complete", err == nil, "took", r.End.Sub(r.Begin), "pages", r.Pages, "rooms", r.Rooms,
		"requests", r.Requests, "retries", r.Retries, "duplicates", r.Duplicates, "unusable_rows", r.UnusableRows)
}

// Status tells how the poller is doing. It may be called at any time.
func (p *Poller) Status() Status {
	s := p.fetch.health.snapshot()
	s.RequestsPerSecond = p.fetch.quota.rate()
	if p.reader != nil {
		s.ReadsRefused = p.reader.refusedSince()
	}
	if p.prober != nil {
		s.Probes = p.prober.status(time.Now())
	}
	return s
}

// withGrace returns a context that outlives ctx by d.
func withGrace(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	outlive, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		_ = retry.Sleep(outlive, d)
		cancel()
	})
	return outlive, func() { stop(); cancel() }
}
