package lease

import (
	"context"
	"errors"
	"time"

	"roomwatch/diff/retry"
)

// Reclaim is called when a claim of another process fences this one: one without the
// lease, or of a term that is over. It returns the term to claim again with, if the lease
// is still this process's; it waits so that it does so at most once in its duration. The
// error is that of ctx or [ErrLost].
func (t *Tenure) Reclaim(ctx context.Context, by Claim, host string) (uint64, error) {
	t.mu.Lock()
	wait := time.Until(t.reclaimed.Add(t.l.c.Duration))
	if t.reclaimed.IsZero() {
		wait = 0
	}
	t.mu.Unlock()
	if err := retry.Sleep(ctx, wait); err != nil {
		return 0, err
	}
	for {
		try, cancel := context.WithTimeout(ctx, t.l.patience())
		term := t.Term()
		if by.Term >= term {
			term = by.Term + 1
		}
		err := t.write(try, term)
		cancel()
		switch {
		case errors.Is(err, ErrLost):
			t.end(err)
			return 0, err
		case ctx.Err() != nil:
			return 0, ctx.Err()
		case err == nil:
			t.mu.Lock()
			t.reclaimed = time.Now()
			t.mu.Unlock()
			t.l.metrics.quarrels.Inc()
			t.l.c.Log.WarnContext(ctx, "claimed by a roomwatch that does not hold the lease", "instance", by.Instance, "host", host, "term", by.Term,
				"fix", "stop it, or give it the same ROOMWATCH_LEASE; this one claims again")
			return term, nil
		}
		_ = retry.Sleep(ctx, renewPause)
	}
}

// Release ends the tenure and gives the lease back, so that the next one need not wait.
// Nothing that it wrote is on its way to the stream any more when it is called.
func (t *Tenure) Release(ctx context.Context) {
	t.stop()
	t.keeper.Wait()
	defer t.end(context.Canceled)
	defer t.l.is(false, false)
	if t.ctx.Err() != nil && !errors.Is(context.Cause(t.ctx), context.Canceled) {
		return // it is another's
	}
	select {
	case <-t.granted:
	default:
		return
	}
	for range 5 {
		try, cancel := context.WithTimeout(ctx, t.l.patience())
		err := t.release(try)
		cancel()
		if err == nil || errors.Is(err, ErrLost) || ctx.Err() != nil || !t.l.store.conn.IsConnected() {
			return
		}
	}
}

func (t *Tenure) release(ctx context.Context) error {
	v, err := t.l.store.lease(ctx)
	if err != nil {
		return err
	}
	if v.value.Instance != t.l.c.Instance || v.value.Released {
		return ErrLost
	}
	v.value.Released = true
	_, err = t.l.store.write(ctx, t.l.store.leaseKey(), v.value, v.revision)
	return err
}
