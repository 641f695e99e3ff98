package lease

import (
	"context"
	"errors"
	"sync"
	"time"

	"roomwatch/diff/retry"
)

// A candidate waits for the lease.
type candidate struct {
	l       *Lease
	former  string    // who wanted the lease last with this process's state file
	alone   bool      // and was not known to be watched by anybody else
	lived   bool      // that one was not gone when this process looked first
	began   time.Time // the first look that was answered
	seen    uint64    // revision of the lease at the newest look
	unmoved time.Time // since when that has not changed
	looked  time.Time // the newest answer
	sent    time.Time // when the newest look was sent
	waiting announcer

	standBy func(context.Context)
	stop    context.CancelFunc // nil: it does not stand by
	ended   sync.WaitGroup
}

// Acquire waits until this process holds the lease, and returns it. While another process
// holds it, standBy runs; it has returned before Acquire returns. The error is that of
// ctx, or [ErrDenied] if the bucket cannot be used.
//
// A bucket that does not answer for grace is waited for no longer by a process that was
// not known to be one of several: it gets a tenure without the lease, which goes on to
// look for it ([Tenure.Granted]).
func (l *Lease) Acquire(ctx context.Context, grace time.Duration, standBy func(context.Context)) (*Tenure, error) {
	c := &candidate{l: l, standBy: standBy, waiting: announcer{l: l}}
	var err error
	if c.former, c.alone, err = l.c.Memory.Holder(); err != nil {
		return nil, err
	}
	defer c.end()
	began := time.Now()
	for {
		held, err := c.try(ctx)
		switch {
		case held != nil: // also when ctx is done: it has to be given back
			c.end()
			return l.tenure(ctx, c, held), nil
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case errors.Is(err, ErrDenied):
			return nil, err
		case err != nil && !errors.Is(err, errStale):
			if !c.looked.IsZero() {
				began, c.looked = c.looked, time.Time{}
			}
			if c.stop == nil && c.alone && time.Since(began) >= grace {
				return l.tenure(ctx, c, nil), nil
			}
			if c.stop == nil && c.l.store.conn.IsClosed() { // who stands by has it replaced, too
				err = errors.Join(err, c.l.store.conn.Connect(ctx))
			}
			if c.l.store.conn.IsConnected() {
				l.note(ctx, err)
			} // otherwise the publisher says so
		default:
			l.note(ctx, nil)
		}
		_ = retry.Sleep(ctx, lookEvery)
	}
}

// end ends what a standby does.
func (c *candidate) end() {
	if c.stop != nil {
		c.stop()
		c.ended.Wait()
		c.stop = nil
	}
	c.waiting.end(context.Background())
	c.l.is(c.l.Status().Held, false)
}

// try looks at the lease and takes it if it may. It returns nil if it may not.
func (c *candidate) try(ctx context.Context) (*stored[record], error) {
	ctx, cancel := context.WithTimeout(ctx, max(c.l.patience(), time.Second))
	defer cancel()
	c.sent = time.Now()
	if err := c.l.presence.Keep(); err != nil {
		return nil, err
	}
	v, err := c.l.store.lease(ctx)
	if err != nil {
		return nil, err
	}
	c.look(v)
	c.l.saw(v.value)
	free, err := c.free(ctx, v)
	if err != nil {
		return nil, err
	}
	if free {
		return c.take(ctx, v)
	}
	if !c.own(v.value) {
		c.stand(v.value)
	}
	return nil, c.waiting.renew(ctx)
}

// own reports whether the lease may be that of this state file's last process, of which
// NATS has not heard yet that it is dead. Nobody else watches then, and what waits in the
// file must not be given up for what the stream says. Only if the lease is still renewed
// after its duration, the file is a copy.
func (c *candidate) own(r record) bool {
	return r.Instance != "" && r.Instance == c.former && time.Since(c.began) < r.duration()+lookGap
}

// look counts for how long the lease has not changed (L2).
func (c *candidate) look(v stored[record]) {
	now := time.Now()
	if c.began.IsZero() {
		c.began = now
	}
	if v.revision != c.seen || c.unmoved.IsZero() || apart(c.looked, now) > lookGap {
		c.seen, c.unmoved = v.revision, now
	}
	c.looked = now
}

// free reports whether this process may take the lease as it was read.
func (c *candidate) free(ctx context.Context, v stored[record]) (bool, error) {
	r := v.value
	name, wait := r.Instance, r.duration()
	if v.revision == 0 || v.removed || name == "" {
		// It was never there, or is lost. Then the stream tells who had it.
		claim, err := c.l.c.Claim(ctx)
		if err != nil || claim.Term == 0 {
			return err == nil, err
		}
		name, wait = claim.Instance, c.l.c.Duration
	}
	switch {
	case r.Released, name == c.l.c.Instance:
		return true, nil
	case name != "" && name == c.former && !c.lived:
		gone, err := c.l.presence.gone(ctx, name)
		if err != nil || gone {
			return gone, err
		}
		c.lived = true
	}
	return time.Since(c.unmoved) >= wait && c.waiting.age() >= wait, nil
}

// take writes the lease, with a term above that of any claim.
func (c *candidate) take(ctx context.Context, v stored[record]) (*stored[record], error) {
	claim, err := c.l.c.Claim(ctx)
	if err != nil {
		return nil, err
	}
	known := standbys{l: c.l, all: map[string]heard{}}
	if err := known.look(ctx); err != nil {
		return nil, err
	}
	c.alone = len(known.all) == 0
	if err := c.l.c.Memory.SetHolder(c.l.c.Instance, c.alone); err != nil {
		return nil, err
	}
	c.former = c.l.c.Instance
	term := max(v.value.Term, claim.Term)
	if again := v.value.Instance == c.l.c.Instance && !v.value.Released; !again || claim.Term > v.value.Term {
		term++
	}
	r := c.l.record(term, v.value.Beat+1, time.Now())
	revision, err := c.l.store.write(ctx, c.l.store.leaseKey(), r, v.revision)
	if err != nil {
		return nil, err // what came of it, the next look shows
	}
	return &stored[record]{value: r, revision: revision}, nil
}

// stand has the process be a standby.
func (c *candidate) stand(by record) {
	if c.stop != nil {
		return
	}
	c.l.c.Log.Info("standing by", "writer", by.Instance, "host", by.Host, "term", by.Term, "since", by.Since)
	// Whatever becomes of NATS: another one watches.
	if err := c.l.c.Memory.SetHolder(c.former, false); err != nil {
		c.l.c.Log.Error("state file cannot be written", "error", err)
	}
	c.alone = false
	c.former = "" // the process of that name lives, or it is a stranger's: whether NATS knows it says no more
	c.l.is(false, true)
	ctx, stop := context.WithCancel(context.Background())
	c.stop = stop
	c.ended.Go(func() { c.standBy(ctx) })
}

// apart is the time between two moments by the larger of the monotonic and the wall clock.
func apart(a, b time.Time) time.Duration {
	if a.IsZero() {
		return Longest
	}
	return max(b.Sub(a), b.Round(0).Sub(a.Round(0)))
}
