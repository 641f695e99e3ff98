package lease

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"roomwatch/publisher/natsconn"
)

const (
	// Shortest is the least duration of a lease.
	Shortest = 5 * time.Second
	// Longest is the greatest.
	Longest = 10 * time.Minute

	beats     = 3 // renewals in the duration
	lookEvery = 500 * time.Millisecond
	// lookGap is the longest time between two looks that count as one after the other.
	lookGap = 4 * lookEvery
)

// A Claim is the newest claim in the stream.
type Claim struct {
	Instance string // empty: there is none
	Term     uint64 // 0: of a writer without a lease
}

// A Memory is what the state file remembers of the lease.
type Memory interface {
	// Holder returns which process wanted the lease last with this file, and whether
	// nobody else was known to watch then.
	Holder() (process string, alone bool, err error)
	// SetHolder writes that.
	SetHolder(process string, alone bool) error
}

// A Config holds what a [Lease] needs.
type Config struct {
	Conn     *natsconn.Conn // required; NATS may be away
	SDKAppID int            // required
	Instance string         // required: names this process, as in its claims
	Host     string
	Version  string
	Duration time.Duration // required, [Shortest] to [Longest]
	Replicas int           // of the bucket, if it has to be made; 0 means 1

	Memory Memory                                   // required
	Claim  func(ctx context.Context) (Claim, error) // required: the newest claim, as the stream's leader has it
	Behind func() (messages uint64, caughtUp bool)  // required: how far this process has come as a standby

	Log     *slog.Logger          // nil discards
	Metrics prometheus.Registerer // nil registers none
}

// A Lease is one process's part in who is the writer.
type Lease struct {
	c        Config
	store    *store
	presence *presence
	metrics  *metrics

	mu     sync.Mutex
	status Status
}

// A Status is what a process knows of the lease at a moment.
type Status struct {
	Held     bool      // by this process
	Standing bool      // it waits while another process holds it
	Since    time.Time // of Held, or of Standing
	Term     uint64
	Holder   Holder    // as of the newest look; zero if there is none
	Standbys []Standby // as the holder knows them
	Error    error     // why the bucket cannot be used now; nil if it can
	ErrorAt  time.Time // since when
}

// A Holder is who holds the lease.
type Holder struct {
	Instance string
	Host     string
	Version  string
	Since    string // by its own clock
}

// New returns a Lease. It does no I/O.
func New(c Config) *Lease {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	s := &store{conn: c.Conn, app: c.SDKAppID, replicas: c.Replicas}
	l := &Lease{c: c, store: s, presence: s.presence(c.Instance)}
	l.metrics = newMetrics(c.Metrics, l)
	return l
}

// Status may be called at any time.
func (l *Lease) Status() Status {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.status
}

// Close has NATS no longer know the process.
func (l *Lease) Close() { l.presence.End() }

// patience is how long an answer of the bucket is waited for: a leader's election must
// not cost the lease.
func (l *Lease) patience() time.Duration { return l.c.Duration / 10 }

// note keeps why the bucket cannot be used, and logs the change.
func (l *Lease) note(ctx context.Context, err error) {
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch was := l.status.Error; {
	case err == nil && was != nil:
		l.c.Log.InfoContext(ctx, "lease recovered", "after", time.Since(l.status.ErrorAt))
		l.status.ErrorAt = time.Time{}
	case err != nil && was == nil:
		l.status.ErrorAt = time.Now()
		fallthrough
	case err != nil && was.Error() != err.Error():
		l.c.Log.WarnContext(ctx, "lease fails", "error", err, "since", l.status.ErrorAt)
	}
	l.status.Error = err
}

// saw notes who holds the lease.
func (l *Lease) saw(r record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.status.Term = r.Term
	l.status.Holder = Holder{}
	if r.Instance != "" && !r.Released {
		l.status.Holder = Holder{r.Instance, r.Host, r.Version, r.Since}
	}
}

// is notes what this process is.
func (l *Lease) is(held, standing bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.status.Held != held || l.status.Standing != standing {
		l.status.Since = time.Now()
	}
	l.status.Held, l.status.Standing = held, standing
	if !held {
		l.status.Standbys = nil
	}
}

// setStandbys notes who stands by, and logs the change.
func (l *Lease) setStandbys(all []Standby) {
	l.mu.Lock()
	before := l.status.Standbys
	l.status.Standbys = all
	l.mu.Unlock()
	lacks := func(list []Standby, s Standby) bool {
		return !slices.ContainsFunc(list, func(o Standby) bool { return o.Instance == s.Instance })
	}
	for _, s := range all {
		if lacks(before, s) {
			l.c.Log.Info("another roomwatch stands by", "instance", s.Instance, "host", s.Host, "since", s.Since, "behind", s.Behind)
		}
	}
	for _, s := range before {
		if lacks(all, s) {
			l.c.Log.Info("another roomwatch no longer stands by", "instance", s.Instance, "host", s.Host, "since", s.Since)
		}
	}
}

// record is the value that this process writes.
func (l *Lease) record(term, beat uint64, since time.Time) record {
	return record{
		Instance: l.c.Instance, Host: l.c.Host, Version: l.c.Version,
		Term: term, Duration: l.c.Duration.String(), Since: stamp(since), Beat: beat,
	}
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// Check returns why a duration is none for a lease.
func Check(d time.Duration) error {
	if d != 0 && (d < Shortest || d > Longest) {
		return fmt.Errorf("%v is neither 0s nor between %v and %v", d, Shortest, Longest)
	}
	return nil
}
