package lease

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"roomwatch/diff/retry"
)

var (
	// ErrLost means that another process holds the lease now.
	ErrLost = errors.New("another roomwatch holds the lease")
	// ErrUnreachable means that the lease could not be renewed, and that a standby was
	// known which may have taken it.
	ErrUnreachable = errors.New("the lease could not be renewed in time, and another roomwatch stands by")
)

// renewPause is the time between two tries to renew the lease.
const renewPause = 100 * time.Millisecond

// A Tenure is the time in which this process watches: it holds the lease, or nobody can
// be asked about it. It is kept by a goroutine of its own until [Tenure.Release], also
// when the context of [Lease.Acquire] is done: the holder has work to finish then.
type Tenure struct {
	l       *Lease
	ctx     context.Context
	end     context.CancelCauseFunc
	stop    context.CancelFunc
	keeper  sync.WaitGroup
	granted chan struct{}
	known   standbys

	mu        sync.Mutex
	held      *stored[record] // nil before it is granted
	since     time.Time
	renewed   time.Time // when the newest renewal that was answered was sent
	alone     bool      // no standby was known then
	reclaimed time.Time
	writing   chan struct{} // has room for the one who writes the lease now
}

func (l *Lease) tenure(ctx context.Context, c *candidate, held *stored[record]) *Tenure {
	t := &Tenure{l: l, granted: make(chan struct{}), alone: held == nil || c.alone, known: standbys{l: l, all: map[string]heard{}}, writing: make(chan struct{}, 1)}
	t.ctx, t.end = context.WithCancelCause(context.WithoutCancel(ctx))
	keep, stop := context.WithCancel(t.ctx)
	t.stop = stop
	if held != nil {
		t.grant(held, c.sent, c.waiting.value)
	} else {
		l.c.Log.WarnContext(ctx, "watching without the lease", "reason", "NATS does not answer, and no other roomwatch was known when it did")
	}
	next := &candidate{l: l, former: c.former, alone: c.alone, lived: c.lived, waiting: announcer{l: l}}
	t.keeper.Go(func() {
		if held != nil || t.await(keep, next) {
			t.keep(keep)
		}
	})
	return t
}

// Context is done when the tenure is over; its cause says why.
func (t *Tenure) Context() context.Context { return t.ctx }

// Granted is closed when the lease is held.
func (t *Tenure) Granted() <-chan struct{} { return t.granted }

// Term is that of the lease, 0 before it is granted.
func (t *Tenure) Term() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.held == nil {
		return 0
	}
	return t.held.value.Term
}

// MayAsk returns nil as long as this process may ask the service (L4).
func (t *Tenure) MayAsk() error {
	if t.ctx.Err() != nil {
		return context.Cause(t.ctx)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.held == nil || t.alone || apart(t.renewed, time.Now()) < t.l.c.Duration*2/3 {
		return nil
	}
	return ErrUnreachable
}

// grant begins the tenure of a process that has waited as stood says; zero: it has not.
func (t *Tenure) grant(held *stored[record], sent time.Time, stood announcement) {
	t.mu.Lock()
	t.held, t.since, t.renewed = held, sent, sent
	t.mu.Unlock()
	t.l.is(true, false)
	t.l.saw(held.value)
	t.l.metrics.tenures.Inc()
	about := []any{"term", held.value.Term}
	if stood.Instance != "" {
		about = append(about, "waiting_since", stood.Since, "behind", stood.Behind)
	}
	t.l.c.Log.InfoContext(t.ctx, "this process is the writer", about...)
	close(t.granted)
}

// await looks for the lease where the tenure began without it. It reports false if there
// is none to be had.
func (t *Tenure) await(ctx context.Context, c *candidate) bool {
	for ctx.Err() == nil {
		c.standBy = func(context.Context) {}
		held, err := c.try(ctx)
		switch {
		case held != nil:
			c.end()
			t.grant(held, c.sent, c.waiting.value)
			return true
		case errors.Is(err, ErrDenied):
			t.end(err)
			return false
		case c.stop != nil: // somebody else has it
			c.end()
			t.end(ErrLost)
			return false
		}
		_ = retry.Sleep(ctx, lookEvery)
	}
	return false
}

// keep renews the lease until ctx is done or the tenure is over.
func (t *Tenure) keep(ctx context.Context) {
	next := time.Now()
	for {
		if retry.Sleep(ctx, time.Until(next)) != nil {
			return
		}
		err := t.renew(ctx)
		if ctx.Err() != nil {
			return
		}
		if errors.Is(err, ErrLost) {
			t.l.metrics.lost.Inc()
			t.end(err)
			return
		}
		if err := t.MayAsk(); err != nil {
			t.end(err)
			return
		}
		if t.l.store.conn.IsConnected() {
			t.l.note(ctx, err)
		} else {
			t.l.note(ctx, nil) // the publisher says that NATS is away
		}
		next = time.Now().Add(renewPause)
		if err == nil {
			next = time.Now().Add(t.l.c.Duration / beats)
		}
	}
}

// renew writes the lease anew and looks who stands by.
func (t *Tenure) renew(ctx context.Context) error {
	if err := t.l.presence.Keep(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, t.l.patience())
	defer cancel()
	sent := time.Now()
	if err := t.write(ctx, t.Term()); err != nil {
		return err
	}
	return t.look(ctx, sent)
}

// look notes a renewal once it is known who stands by.
func (t *Tenure) look(ctx context.Context, sent time.Time) error {
	t.mu.Lock()
	if t.held.revision < t.known.read { // another bucket
		t.known.read = 0
	}
	was := t.alone
	t.mu.Unlock()
	if err := t.known.look(ctx); err != nil {
		return err
	}
	alone := len(t.known.all) == 0
	if alone != was {
		if err := t.l.c.Memory.SetHolder(t.l.c.Instance, alone); err != nil {
			return err
		}
	}
	t.l.setStandbys(t.known.list())
	t.mu.Lock()
	defer t.mu.Unlock()
	t.renewed, t.alone = sent, alone
	return nil
}

// write writes the lease with a term, or with the one that it has if that is higher: a
// renewal that waits for a reclaim must not take its term back. After a write that was
// refused, or whose outcome is not known, it is read (L1).
func (t *Tenure) write(ctx context.Context, term uint64) error {
	select {
	case t.writing <- struct{}{}:
		defer func() { <-t.writing }()
	case <-ctx.Done():
		return fmt.Errorf("wait for an earlier write of the lease: %w", ctx.Err())
	}
	t.mu.Lock()
	term = max(term, t.held.value.Term)
	r, revision := t.l.record(term, t.held.value.Beat+1, t.since), t.held.revision
	t.mu.Unlock()
	revision, err := t.l.store.write(ctx, t.l.store.leaseKey(), r, revision)
	t.l.metrics.renewal(err)
	if err == nil {
		t.holds(stored[record]{value: r, revision: revision})
		return nil
	}
	v, rerr := t.l.store.lease(ctx)
	if rerr != nil {
		return err
	}
	if v.revision == 0 || v.removed || v.value.Instance == "" {
		// The bucket was lost, or the key removed. It is ours unless somebody has claimed since.
		claim, cerr := t.l.c.Claim(ctx)
		switch {
		case cerr != nil:
			return cerr
		case claim.Instance != t.l.c.Instance && claim.Term >= term && claim.Term > 0:
			return fmt.Errorf("%w: the bucket has lost it, and %s has claimed", ErrLost, claim.Instance)
		}
		t.holds(stored[record]{value: r, revision: v.revision}) // written by the next try
		return errStale
	}
	t.l.saw(v.value)
	if v.value.Instance != t.l.c.Instance || v.value.Released {
		return fmt.Errorf("%w: instance %s on host %s, term %d", ErrLost, v.value.Instance, v.value.Host, v.value.Term)
	}
	t.holds(v)
	if v.value.Beat == r.Beat && v.value.Term == term {
		return nil // it had landed
	}
	return err
}

func (t *Tenure) holds(v stored[record]) {
	t.mu.Lock()
	t.held = &v
	t.mu.Unlock()
	t.l.saw(v.value)
}
