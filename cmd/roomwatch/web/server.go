package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"roomwatch/publisher/natsconn"
	"roomwatch/state"
)

const (
	headerTimeout = 5 * time.Second
	headerBytes   = 32 << 10
	writeTimeout  = 30 * time.Second // for an answer, and for each piece of an endless one
	idleTimeout   = 2 * time.Minute
	closeTimeout  = 2 * time.Second
)

// Rooms are the rooms that are known to be live.
type Rooms interface {
	// Rooms returns a part of a list, and where it goes on if it does.
	Rooms(ctx context.Context, q state.RoomQuery) ([]state.LiveRoom, *state.RoomPlace, error)
	// Room returns one room, and false if it is not known to be live.
	Room(id string) (state.LiveRoom, bool, error)
}

// A Config holds what a [Server] needs.
type Config struct {
	Addr  string        // as configured; its host is one that requests may name
	Token func() string // who may read, asked with each request; nil: all who reach the address
	Open  bool          // the operator says that all may read, under whatever name they reach the address

	Status  func() Status // required; called by several goroutines, must not wait for anything slow
	Rooms   Rooms         // required
	Metrics prometheus.Gatherer

	// Conn is the connection over which events are read. It connects when somebody
	// asks for them first; the Server closes it. Required.
	Conn     *natsconn.Conn
	Stream   string
	Prefix   string // of the subjects
	SDKAppID int

	Log *slog.Logger // nil discards
}

// A Server answers requests.
type Server struct {
	c       Config
	log     *slog.Logger
	scan    chan struct{} // holds one element while the rooms are walked through
	feed    *feed
	history *history
	// patience is how long a client may take nothing of an answer.
	patience time.Duration
}

// New returns a Server. It does no I/O.
func New(c Config) *Server {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &Server{c: c, log: c.Log, scan: make(chan struct{}, 1), feed: newFeed(c), history: &history{}, patience: writeTimeout}
}

// Serve answers requests on l until ctx is done, and then returns nil. It closes
// l. No goroutine is left when it returns.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	var running sync.WaitGroup
	defer running.Wait()
	defer s.c.Conn.Close()
	handler := s.handler()
	srv := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			running.Add(1)
			defer running.Done()
			handler.ServeHTTP(w, r)
		}),
		// So that what waits for events ends with ctx.
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ReadHeaderTimeout: headerTimeout, WriteTimeout: s.patience, IdleTimeout: idleTimeout, MaxHeaderBytes: headerBytes,
		ConnState: (&connections{open: make(map[net.Conn]time.Time)}).changed,
		ErrorLog:  slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	running.Go(func() { s.history.run(ctx, s.c.Status) })
	served := make(chan error, 1)
	running.Go(func() { served <- srv.Serve(l) })
	select {
	case err := <-served:
		return fmt.Errorf("serve http on %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	if err := srv.Shutdown(stop); err != nil {
		_ = srv.Close() // whoever still reads is cut off
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve http on %s: %w", l.Addr(), err)
	}
	return nil
}

func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", s.healthz)
	mux.HandleFunc("/readyz", s.readyz)
	guarded := func(pattern string, h http.Handler) { mux.Handle(pattern, s.guard(h)) }
	guarded("/metrics", promhttp.HandlerFor(s.c.Metrics, promhttp.HandlerOpts{}))
	guarded("/api/v1/status", http.HandlerFunc(s.status))
	guarded("/api/v1/rooms", http.HandlerFunc(s.rooms))
	guarded(roomPath, http.HandlerFunc(s.room))
	guarded("/api/v1/events", http.HandlerFunc(s.events))
	guarded("/api/v1/history", http.HandlerFunc(s.showHistory))
	guarded("/api/v1/openapi.json", http.HandlerFunc(s.openAPI))
	guarded("/schema/{file...}", http.HandlerFunc(s.schema))
	guarded("/{$}", http.HandlerFunc(s.page))
	guarded("/page/{file...}", http.HandlerFunc(s.page))
	guarded("/", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		refuse(w, http.StatusNotFound, "there is no %.200q here; /api/v1/openapi.json lists what there is", r.URL.Path)
	}))
	return secured(bodyless(readOnly(mux)))
}
