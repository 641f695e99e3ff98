package daemon

import (
	"context"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"roomwatch/cmd/internal/environ"
	"roomwatch/cmd/roomwatch/config"
	"roomwatch/diff/logtest"
	"roomwatch/poller/simulator"
	"roomwatch/publisher/natstest"
)

const (
	weekApp   = 88888888
	weekKey   = "5bd2850fff3ecb11d7c805251c51ee463a25727bddc2385f3fa8bfee1bb93b5e"
	weekToken = "token-of-the-console"
)

// A week is the world of a daemon in one bubble: the service, NATS, and the files.
type week struct {
	t       *testing.T
	plan    weekPlan
	config  *config.Config
	service *simulator.Service
	web     *pipeListener // of the service
	nats    *natstest.Server
	nc      *nats.Conn // of the judge
	wall    wall
	faults  faults
	current atomic.Pointer[process]
	asked   func(*process) // is told of each request to the service; nil: nobody is. Set before the run
	judge   *judge
	said    logtest.Buffer // by the processes
	seen    uint64         // of the stream, by the judge
	deaths  map[moment]int // of the daemon
}

// run builds the world, starts the daemon and calls f, in a bubble.
func (p weekPlan) run(t *testing.T, f func(w *week)) {
	t.Helper()
	p.runWith(t, nil, f)
}

// runWith is run where asked is told of each request to the service.
func (p weekPlan) runWith(t *testing.T, asked func(*process), f func(w *week)) {
	t.Helper()
	natstest.Run(t, func(t *testing.T, s *natstest.Server) {
		w := &week{t: t, plan: p, nats: s, web: newPipeListener(), judge: newJudge(p), deaths: map[moment]int{}, asked: asked}
		w.config = p.config(filepath.Join(t.TempDir(), "data"))
		w.build()
		var running sync.WaitGroup
		defer running.Wait()
		server := &http.Server{Handler: w, ReadHeaderTimeout: time.Minute}
		running.Go(func() { _ = server.Serve(w.web) })
		defer func() { _ = server.Close() }()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		running.Go(func() { w.service.SendCallbacks(ctx) })
		w.nc = s.Connect()
		w.start(w.config)
		defer func() { w.current.Load().bury() }()
		f(w)
	})
}

// build makes the service.
func (w *week) build() {
	w.t.Helper()
	c := w.plan.simulator()
	c.Fault, c.InfoFault = w.faults.ofList, w.faults.ofInfo
	if w.plan.Callbacks {
		c.Callbacks = simulator.Callbacks{
			URL: "http://roomwatch.test/webhook", Token: weekToken, Lag: 2 * time.Second, Drop: 0.05, Double: 0.05,
			Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return w.dialHooks(ctx)
			}},
		}
	}
	var err error
	if w.service, err = simulator.New(c); err != nil {
		w.t.Fatal(err)
	}
}

// ServeHTTP is what the service answers; a process may be killed by then.
func (w *week) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	p := w.current.Load()
	if p.comes(asked) {
		p.kill()
		panic(http.ErrAbortHandler)
	}
	w.service.ServeHTTP(rw, r)
	if p.comes(answered) {
		_ = http.NewResponseController(rw).Flush()
		p.kill()
	}
}

// config is the configuration of the daemon.
func (p weekPlan) config(dir string) *config.Config {
	c := &config.Config{
		SDKAppID: weekApp, Identifier: "administrator", SecretKey: weekKey, UserSigTTL: 24 * time.Hour,
		Endpoint: "http://service.test", RequestsPerSecond: 9.5, PointReadsPerSecond: p.Reads, ProbeShare: 0.25, RequestTimeout: 5 * time.Second, Interval: p.Interval,
		Events:   []string{"room.created", "room.ended", "viewcount.changed", "room.hidden", "room.shown"},
		Baseline: "publish", AbsentSweeps: 2, MassEndPercent: 50, MassEndSweeps: 5, ViewCountMinChange: 1,
		DataDir: dir, NATSURL: "nats://in.process", NATS: environ.NATS{}, Stream: "LIVE", SubjectPrefix: "live", StreamReplicas: 1, StreamMaxAge: 720 * time.Hour,
		HTTPAddr: "off", WebhookAddr: "off", Lease: p.Lease,
	}
	if p.Reads == 0 {
		c.Events = c.Events[:3]
	}
	if p.Callbacks {
		c.WebhookAddr, c.WebhookToken = "roomwatch.test:8090", weekToken
	}
	return c
}

// dialHooks connects the service with the receiver of the running process.
func (w *week) dialHooks(ctx context.Context) (net.Conn, error) {
	p := w.current.Load()
	if p == nil || p.hooks == nil {
		return nil, net.ErrClosed
	}
	return p.hooks.dial(ctx)
}
