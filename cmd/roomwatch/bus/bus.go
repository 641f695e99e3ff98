package bus

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/oklog/ulid/v2"

	"roomwatch/cmd/roomwatch/web"
	"roomwatch/diff/retry"
	"roomwatch/publisher/natsconn"
)

const (
	// lookEvery is how often the service looks whether it has a connection, and
	// whether this process is the writer.
	lookEvery = time.Second
	// awayPatience is how long the service may have no connection before the log says so.
	awayPatience = 30 * time.Second
)

// Answers are what is told. The errors are of type [*web.Refusal].
type Answers interface {
	Status() web.Status
	// List returns a page that takes at most so many bytes.
	List(ctx context.Context, parameters url.Values, most int) (web.RoomList, error)
	Room(ctx context.Context, id string) (web.Room, error)
}

// A Config holds what a [Service] needs.
type Config struct {
	Connection natsconn.Config // where NATS is; the service connects by itself
	SDKAppID   int
	// StreamPrefix begins the subjects of the stream, to which no answer goes.
	StreamPrefix string
	Version      string // of the program
	Answers      Answers
	// Writer reports whether this process is the writer now. It is called by several
	// goroutines and must not wait.
	Writer func() bool
	Log    *slog.Logger // nil discards
}

// A Service answers questions over NATS.
type Service struct {
	c         Config
	conn      *natsconn.Conn
	id        string
	started   time.Time
	endpoints []*endpoint // and verbs

	on     *nats.Conn // where the subscriptions are; used by Run alone, as are those below
	lost   time.Time  // when the service was first seen without a connection; zero if it has one
	warned retry.Reminder

	mu      sync.Mutex
	stopped bool
	told    map[string]bool // of missing permissions
	working sync.WaitGroup
}

// New returns a Service. It does no I/O.
func New(c Config) (*Service, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	s := &Service{c: c, id: ulid.Make().String(), started: time.Now().UTC(), told: map[string]bool{}}
	// What is wrong with NATS itself is logged by the publisher's connection.
	c.Connection.Name, c.Connection.Log, c.Connection.Denied = "roomwatch service", nil, s.denied
	var err error
	if s.conn, err = natsconn.New(c.Connection); err != nil {
		return nil, err
	}
	s.endpoints = append(s.questions(), s.verbs()...)
	return s, nil
}

// Prefix returns how the subjects of an application begin.
func Prefix(app int) string { return fmt.Sprintf("roomwatch.%d", app) }

// Run answers until ctx is done, and then returns nil. No goroutine is left when it
// returns. That NATS is away is no error: the service is there again when it is back,
// also if the connection had to be replaced.
func (s *Service) Run(ctx context.Context) error {
	defer s.working.Wait()
	defer s.conn.Close()
	defer s.stop()
	pause := retry.BackOff(lookEvery, 30*time.Second)
	for {
		wait := lookEvery
		if err := s.look(ctx); err == nil {
			pause.Reset()
		} else {
			s.away(ctx, err)
			wait = pause.NextBackOff()
		}
		if retry.Sleep(ctx, wait) != nil {
			return nil
		}
	}
}

// look connects, subscribes to what is missing, and leaves what is for the writer if
// this process is not.
func (s *Service) look(ctx context.Context) error {
	if s.conn.IsClosed() {
		if err := s.conn.Connect(ctx); err != nil {
			return err
		}
	}
	nc := s.conn.Client()
	writer := s.c.Writer()
	for _, e := range s.endpoints {
		if err := e.subscribe(ctx, s, nc, nc != s.on, writer || !e.writer); err != nil {
			return fmt.Errorf("subscribe to %s: %w", e.subject, err)
		}
	}
	s.on = nc
	if nc.IsConnected() {
		s.lost = time.Time{}
	} else {
		s.away(ctx, cmp.Or(nc.LastError(), nats.ErrDisconnected))
	}
	return nil
}

// away logs that nobody can ask, when that lasts. NATS that is away is the publisher's
// to report; it may have a connection where this one gets none.
func (s *Service) away(ctx context.Context, err error) {
	now := time.Now()
	if s.lost.IsZero() {
		s.lost = now
	}
	if now.Sub(s.lost) < awayPatience || ctx.Err() != nil || !s.warned.Due() {
		return
	}
	s.warned.Said()
	s.c.Log.WarnContext(ctx, "service over NATS is away", "error", err, "since", s.lost.UTC().Truncate(time.Second),
		"fix", "if NATS is there, allow the account one connection more; events are not affected")
}

// denied logs a missing permission, once for what is asked and once for answers.
func (s *Service) denied(err error) {
	way := "answer"
	if strings.Contains(strings.ToLower(err.Error()), "for subscription to") {
		way = "ask"
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.told[way] {
		return
	}
	s.told[way] = true
	s.c.Log.WarnContext(context.Background(), "service over NATS is not allowed", "error", err,
		"fix", "deploy/nats/nats.conf has the subjects; without them nobody can ask over NATS, and nothing else is missing")
}

// enter reports whether a question may be worked on; working.Done has to follow.
func (s *Service) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return false
	}
	s.working.Add(1)
	return true
}

func (s *Service) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
}
