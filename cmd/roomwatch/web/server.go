package web

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"roomwatch/cmd/internal/serve"
	"roomwatch/publisher/natsconn"
	"roomwatch/state"
)

// Rooms are the rooms that are known to be live.
type Rooms interface {
	// Rooms returns a part of a list, and where it continues if it does.
	Rooms(ctx context.Context, q state.RoomQuery) ([]state.LiveRoom, *state.RoomPlace, error)
	// Room returns one room, and false if it is not known to be live.
	Room(id string) (state.LiveRoom, bool, error)
}

// A Config holds what a [Server] needs.
type Config struct {
	Addr  string        // as configured; its host is one that requests may name
	Token func() string // who may read, asked with each request; nil: all who reach the address
	Open  bool          // the operator says that all may read, under whatever name they reach the address

	Status func() Status // required; called by several goroutines, must not wait for anything slow
	Rooms  Rooms         // required
	// Explain says what is known of a RoomID, without sentences, and false if nothing is.
	// Required; called by several goroutines.
	Explain func(id string) (Explanation, bool, error)
	Metrics prometheus.Gatherer
	// Backup copies the state; see [state.Store.Backup]. Required.
	Backup func() (*state.Backup, error)

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
	copying chan struct{} // as scan, while a backup is made and sent
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
	return &Server{c: c, log: c.Log, scan: make(chan struct{}, 1), copying: make(chan struct{}, 1), feed: newFeed(c), history: &history{}, patience: serve.WriteTimeout}
}

// Serve answers requests on l until ctx is done, and then returns nil. It closes
// l. No goroutine is left when it returns.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	var running sync.WaitGroup
	defer running.Wait()
	defer s.c.Conn.Close()
	running.Go(func() { s.history.run(ctx, s.c.Status) })
	return serve.Server{Handler: s.handler(), Patience: s.patience, Log: s.log}.Serve(ctx, l)
}

func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	access := serve.Access{Program: "roomwatch", Addr: s.c.Addr, Token: s.c.Token, Open: s.c.Open}
	mux.HandleFunc("/healthz", serve.Healthz)
	mux.HandleFunc("/readyz", access.Readyz(s.readiness))
	protected := func(pattern string, h http.Handler) { mux.Handle(pattern, access.Protect(h)) }
	protected("/metrics", promhttp.HandlerFor(s.c.Metrics, promhttp.HandlerOpts{}))
	protected("/api/v1/status", http.HandlerFunc(s.status))
	protected("/api/v1/rooms", s.ofWriter(s.rooms))
	protected(roomPath, s.ofWriter(s.room))
	protected(explainPath, s.ofWriter(s.explain))
	protected("/api/v1/events", http.HandlerFunc(s.events))
	protected("/api/v1/history", http.HandlerFunc(s.showHistory))
	protected(BackupPath, http.HandlerFunc(s.backup))
	protected("/api/v1/openapi.json", http.HandlerFunc(s.openAPI))
	protected("/schema/{file...}", http.HandlerFunc(s.schema))
	protected("/{$}", http.HandlerFunc(s.page))
	protected("/page/{file...}", http.HandlerFunc(s.page))
	protected("/", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		serve.Refuse(w, http.StatusNotFound, "there is no %.200q here; /api/v1/openapi.json lists what there is", r.URL.Path)
	}))
	return serve.ReadOnly(mux)
}
