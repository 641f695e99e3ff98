package daemon

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"roomwatch/diff/retry"
	"roomwatch/publisher"
	"roomwatch/publisher/lease"
)

// recoveryWait is how long the first sweep waits for the stream. A state that
// was lost is then rebuilt before anything is compared with it; if NATS is away
// for longer, the events wait, and the rebuild comes when it is back.
const recoveryWait = 5 * time.Second

// publishGrace is how long publishing continues, at most, when the daemon is told
// to stop. A rebuild of the state takes as long as the stream is large, and what
// is to be committed waits for it; one that is cut short is recreated by the next
// start.
const publishGrace = 3 * time.Second

// drainGrace is how long a writer that stops stores what waits, at most, before it gives
// the lease back: what it has not stored then, the next one has to find.
const drainGrace = 3 * time.Second

// releaseGrace is how long the lease may take to be given back.
const releaseGrace = 2 * time.Second

// watch is the work of the writer: it reads, compares, commits and publishes, until ctx
// is done or a part gives up. t is nil where there is no lease. It stops in the direction
// in which the data flows: what was read is committed, what is being published is
// finished, and the rest waits in the outbox for the next start.
func (d *Daemon) watch(ctx context.Context, t *lease.Tenure) error {
	g, ctx := errgroup.WithContext(ctx)
	published, stopPublishing := context.WithCancel(context.WithoutCancel(ctx))
	defer stopPublishing()
	grace := publishGrace
	if t != nil {
		grace = drainGrace
	}
	defer context.AfterFunc(ctx, func() { time.AfterFunc(grace, stopPublishing) })()
	commit := d.store.NewCommitter(d.log, d.tracing.Tracer)
	g.Go(func() error {
		defer stopPublishing()
		return d.publish(published, ctx, t)
	})
	if t != nil {
		g.Go(func() error {
			d.hearPeers(ctx)
			return nil
		})
	}
	g.Go(func() error {
		commit.Run()
		if t != nil && t.Context().Err() == nil {
			d.drain(published)
		}
		stopPublishing()
		return nil
	})
	g.Go(func() error {
		defer commit.Close()
		return d.read(ctx, d.outside.tap(commit))
	})
	return g.Wait()
}

// publish publishes for as long as the tenure lasts. watching is done when no more is read.
func (d *Daemon) publish(ctx, watching context.Context, t *lease.Tenure) error {
	if t == nil {
		return d.pub.Run(ctx, 0)
	}
	if err := d.awaitGrant(watching, t); err != nil || t.Term() == 0 {
		return err
	}
	for term := t.Term(); ; {
		err := d.pub.Run(ctx, term)
		if !errors.Is(err, publisher.ErrFenced) {
			return err
		}
		by := publisher.FencedBy(err)
		term, err = t.Reclaim(watching, lease.Claim{Instance: by.Instance, Term: by.Term}, by.Host)
		if watching.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// awaitGrant waits until the lease is held. It returns nil before that if watching is done.
func (d *Daemon) awaitGrant(watching context.Context, t *lease.Tenure) error {
	wait, stop := context.WithCancel(watching)
	defer stop()
	go func() {
		defer stop()
		select {
		case <-t.Granted():
		case <-t.Context().Done():
		case <-wait.Done():
		}
	}()
	select {
	case <-t.Granted():
		return nil
	default:
	}
	if err := d.pub.Prepare(wait); err != nil {
		return err
	}
	if watching.Err() == nil && t.Term() == 0 {
		return context.Cause(t.Context())
	}
	return nil
}

// drain waits until the stream has all that is committed, until it takes nothing, or
// until ctx is done.
func (d *Daemon) drain(ctx context.Context) {
	select {
	case <-d.pub.Recovered():
	default:
		return // a rebuild is cut short
	}
	for d.conn.IsConnected() && d.pub.Status().LastError == nil {
		if _, stored, assigned := d.pub.Position(); stored == assigned {
			return
		}
		if retry.Sleep(ctx, 10*time.Millisecond) != nil {
			return
		}
	}
}

// read reads the list and the rooms that are proposed, once the state was compared with the stream.
func (d *Daemon) read(ctx context.Context, to sink) error {
	wait := time.NewTimer(recoveryWait)
	defer wait.Stop()
	select {
	case <-d.pub.Recovered():
	case <-wait.C:
		d.log.WarnContext(ctx, "stream is not reachable", d.whyAway()...)
	case <-ctx.Done():
		return nil
	}
	d.pulse.Begin()
	if reader := d.poll.Reader(); reader != nil {
		var reads sync.WaitGroup
		reads.Go(func() { reader.Run(ctx, to) })
		defer reads.Wait() // before the committer is closed
	}
	return d.poll.Run(ctx, to)
}

// whyAway says why the stream was not compared with the state yet. NATS may well
// be there, and the stream be what is in the way.
func (d *Daemon) whyAway() []any {
	pub := d.pub.Status()
	switch {
	case !pub.Connected:
		return []any{"fix", "check that NATS runs and can be reached; events wait on disk until then"}
	case pub.LastError != nil:
		return []any{"error", pub.LastError, "fix", "see what the error names; events wait on disk until then"}
	}
	return []any{"fix", "wait: NATS is slow to answer; events wait on disk until then"}
}
