package publisher

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/oklog/ulid/v2"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"roomwatch/diff"
	"roomwatch/diff/retry"
	"roomwatch/publisher/natsconn"
)

const (
	retryFirst = 100 * time.Millisecond
	retryMost  = 30 * time.Second
	// awayLook is how often a connection that is away is checked.
	awayLook = 100 * time.Millisecond
)

// An Outbox holds the events that are committed. Its methods may be called
// beside those that add to it.
type Outbox interface {
	// Position returns the epoch of the sequence numbers, the last one known to
	// be stored in the stream and the last one given to an event.
	Position() (epoch string, stored, assigned uint64)
	// Follows returns the id of the event that the epoch follows, or "".
	Follows() string
	// Events returns at most limit events with numbers above after, oldest first.
	Events(after uint64, limit int) ([]diff.Event, error)
	// Event returns the content of an event that is not known to be stored, or of the
	// last one that is; 0 stands for the one that the epoch follows. known is false
	// for any other, and where an earlier build has not kept it.
	Event(seq uint64) (e diff.Event, known bool, err error)
	// Stored notes that the stream has every event up to seq.
	Stored(seq uint64) error
	// Rebuild replaces everything that is known by the fold of events, and begins
	// an epoch that follows last, the last event of the stream. Other rooms that
	// were live at watchedSince are not news. After an error nothing is believed any
	// more, and the next comparison asks for it again.
	Rebuild(last diff.Event, watchedSince time.Time, events iter.Seq2[diff.Event, error]) error
	// Follow takes over events that another writer has stored, in their order; at is the
	// place in the stream that is reached with them, made when the stream was made. The
	// error is [diff.ErrGap] if they do not go on from what is known.
	Follow(events []diff.Event, at uint64, made time.Time) error
	// Followed returns what Follow was told last; 0 if that is not known.
	Followed() (at uint64, made time.Time)
	// Renumber begins an epoch with the events that are not stored, which follows
	// the last one that is.
	Renumber() error
	// WatchedSince returns when the rooms were first looked at, or what a rebuild
	// has put in its place; zero if that is not known.
	WatchedSince() time.Time
	// Watched notes what the stream says of the watch: up to when the list was watched,
	// by whoever was the writer, and the end of the newest gap that was told; either is
	// zero if the stream does not know it.
	Watched(until, gapTo time.Time) error
	// Committed gets a value after events were added, and after the first look.
	Committed() <-chan struct{}
}

// A Config holds what a [Publisher] needs.
type Config struct {
	Conn     *natsconn.Conn // required; connected, though NATS may be away
	Outbox   Outbox         // required
	Stream   StreamConfig   // required
	SDKAppID int            // required
	Version  string         // of the program, told in its claims

	Log     *slog.Logger          // nil discards
	Metrics prometheus.Registerer // nil registers none
	Tracer  trace.Tracer          // nil traces nothing
}

// A Publisher brings the events of one application to the stream.
type Publisher struct {
	outbox  Outbox
	stream  StreamConfig
	app     int
	me      claim
	log     *slog.Logger
	metrics *metrics
	tracer  trace.Tracer

	conn    *natsconn.Conn
	doubted chan error // see doubt

	mu        sync.Mutex // guards what follows
	status    Status
	ranUntil  time.Time // the writer before this process told last that it watches
	recovered chan struct{}
}

// New returns a Publisher. It does no I/O.
func New(c Config) (*Publisher, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Tracer == nil {
		c.Tracer = noop.Tracer{}
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	p := &Publisher{
		conn: c.Conn, outbox: c.Outbox, stream: c.Stream, app: c.SDKAppID, log: c.Log,
		me:        claim{Instance: ulid.Make().String(), Host: host, Version: c.Version},
		tracer:    c.Tracer,
		recovered: make(chan struct{}),
		doubted:   make(chan error, 1),
		status:    Status{Events: map[diff.Type]uint64{}},
	}
	p.metrics = newMetrics(c.Metrics)
	p.watch(c.Metrics)
	return p, nil
}

// Run publishes until ctx is done, finishes the batch that is in flight, and
// returns nil. The claim bears the term of the lease that this process holds; 0: it has
// none. NATS that is away, or a stream that refuses, is no error: events
// wait in the outbox. It returns
//
//	ErrFenced  another roomwatch has become the writer
//	ErrUnfit   the stream cannot hold what is promised, found at the first
//	           contact; later it is waited for
//
// It may be called again, but not beside itself or [Publisher.Follow].
func (p *Publisher) Run(ctx context.Context, term uint64) error {
	defer p.setFence(0)
	pause := retry.BackOff(retryFirst, retryMost)
	left := legacy{term: term}
	gone := false // the claim, in the session before this one
	for ctx.Err() == nil {
		if p.conn.IsClosed() {
			p.replace(ctx, pause.NextBackOff())
			continue
		}
		if !p.conn.IsConnected() {
			if err := p.conn.Refused(); err != nil {
				p.failed(ctx, err) // found later than the start could
			}
			_ = retry.Sleep(ctx, awayLook)
			continue
		}
		_, was, _ := p.outbox.Position()
		began := time.Now()
		s, err := p.newSession(left)
		if err == nil {
			err = s.run(ctx)
			left = s.legacy
		}
		// A claim alone is no progress: each try would store one more at once.
		if _, now, _ := p.outbox.Position(); now != was || time.Since(began) > retryMost {
			pause.Reset()
			gone = false
		}
		switch {
		case ctx.Err() != nil, err == nil, errors.Is(err, errRenew), errors.Is(err, errReconnected):
			continue
		case errors.Is(err, ErrFenced), errors.Is(err, ErrUnfit) && !p.hasRecovered():
			return err
		}
		if p.conn.IsClosed() {
			continue // why it is closed says more than what failed by it
		}
		if outcomeOf(err) == fenced && !gone {
			// A stream that is full lets go of the claim with its other old messages.
			// Whether that is so, or another has claimed, is for the next claim to see.
			gone = true
			continue
		}
		p.failed(ctx, p.reason(err))
		_ = retry.Sleep(ctx, pause.NextBackOff())
	}
	return nil
}

// Prepare makes or checks the stream for a [Publisher.Run] that has to wait, so that what
// is wrong with it is known meanwhile. It returns [ErrUnfit], or nil when ctx is done.
func (p *Publisher) Prepare(ctx context.Context) error {
	for pause := retry.BackOff(retryFirst, retryMost); ctx.Err() == nil; _ = retry.Sleep(ctx, pause.NextBackOff()) {
		if p.conn.IsClosed() {
			p.replace(ctx, 0)
		}
		if !p.conn.IsConnected() {
			continue
		}
		s, err := p.newSession(legacy{})
		if err == nil {
			_, _, err = s.stream.preflight(ctx, s.conn, s.js, s.app, 0)
		}
		switch {
		case ctx.Err() != nil:
		case errors.Is(err, ErrUnfit):
			return err
		case err != nil:
			p.failed(ctx, p.reason(err))
		}
	}
	return nil
}

// replace puts a new connection in the place of one that is closed permanently, after a pause.
func (p *Publisher) replace(ctx context.Context, pause time.Duration) {
	p.failed(ctx, p.conn.WhyClosed())
	if retry.Sleep(ctx, pause) != nil {
		return
	}
	if err := p.conn.Connect(ctx); err != nil && ctx.Err() == nil {
		p.failed(ctx, err)
	}
}

// Recovered is closed when the stream was compared with the outbox, for the first time
// since [Publisher.Follow] was called last.
func (p *Publisher) Recovered() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.recovered
}

func (p *Publisher) hasRecovered() bool {
	select {
	case <-p.Recovered():
		return true
	default:
		return false
	}
}

// recovery notes that the stream was compared with the outbox.
func (p *Publisher) recovery() {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.recovered:
	default:
		close(p.recovered)
	}
}

// Position is that of the outbox.
func (p *Publisher) Position() (epoch string, stored, assigned uint64) { return p.outbox.Position() }

// NewestClaim returns who has claimed last, as the stream's leader has it; zero if nobody
// has, or there is no stream.
func (p *Publisher) NewestClaim(ctx context.Context) (Writer, error) {
	s, err := p.newSession(legacy{})
	if err != nil {
		return Writer{}, err
	}
	seq, by, err := s.newestClaim(ctx)
	var api *jetstream.APIError
	if errors.As(err, &api) && api.ErrorCode == jetstream.JSErrCodeStreamNotFound || seq == 0 && err == nil {
		return Writer{}, nil
	}
	return claimant(by), err
}

// Instance names this process in its claims.
func (p *Publisher) Instance() string { return p.me.Instance }

// Host is where it runs.
func (p *Publisher) Host() string { return p.me.Host }
