package state

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"roomwatch/diff"
	"roomwatch/diff/spans"
)

const (
	// MaxPages is how many pages a [Committer] queues, and how many it commits together.
	MaxPages = 256
	// A page that comes within hurry after the last commit began is one of many, and
	// they change little: it waits for linger, or until as many wait as may, so that
	// the disk's sync, the stream's batch and the change of goroutines are paid once
	// for all that come meanwhile. At the vendor's quota pages are farther apart, as a rule.
	hurry  = 20 * time.Millisecond
	linger = 50 * time.Millisecond
)

// A Committer queues the pages that are read and commits them: while one commit
// is under way the next pages are fetched, and those that wait are committed
// together, so that the disk's sync is paid once for many of them.
//
// An error of the state gives the sweep up: its further pages are dropped, it
// proves no absence, and the next sweep finds whatever was not committed.
//
// Page, End and Close are called by one goroutine, Run by another. The order of
// pages, probes and reads that wait together means nothing: whether a page came while a
// read was on its way is noted when they come.
type Committer struct {
	store  *Store
	log    *slog.Logger
	tracer trace.Tracer
	queue  chan work
	urgent chan struct{} // capacity 1: the queue is full, or the sweep has ended

	failed atomic.Pointer[error] // why the current sweep was given up

	last Status // as of the last report of ends that are held back
}

// NewCommitter returns the committer of s. It commits nothing before Run. There is one at
// a time; the reads of one before it are forgotten.
func (s *Store) NewCommitter(log *slog.Logger, tracer trace.Tracer) *Committer {
	s.reads.with((*diff.Witnesses).Abandon)
	return &Committer{store: s, log: log, tracer: tracer, queue: make(chan work, MaxPages), urgent: make(chan struct{}, 1)}
}

// Page queues a page of the current sweep, and returns those of its rooms that nobody
// knew. It blocks while the queue is full. Its error can be that of an earlier commit of this
// sweep; the sweep is then given up.
func (c *Committer) Page(ctx context.Context, p diff.Page) (unknown []diff.Room, err error) {
	c.store.reads.saw(p)
	if err := c.failed.Load(); err != nil {
		return nil, *err
	}
	if unknown, err = c.store.unknown(p.Rooms); err != nil {
		return nil, err
	}
	return unknown, c.put(ctx, work{page: p})
}

// Probe is Page for a page of no sweep. It may be called by any goroutine.
func (c *Committer) Probe(ctx context.Context, p diff.Page) (unknown []diff.Room, err error) {
	c.store.reads.with(func(w *diff.Witnesses) { w.SawProbe(p.Rooms) })
	if unknown, err = c.store.unknown(p.Rooms); err != nil {
		return nil, err
	}
	return unknown, c.put(ctx, work{probe: &p})
}

// Ask notes that a point read of the room is about to be sent. It, Read, Control
// and Refuse may be called by any goroutine.
func (c *Committer) Ask(id string) { c.store.reads.with(func(w *diff.Witnesses) { w.Ask(id) }) }

// Read queues the answer of a point read; there is one for each Ask. It blocks
// while the queue is full.
func (c *Committer) Read(ctx context.Context, r diff.Read) error {
	return c.put(ctx, work{read: &r})
}

// Control returns a room that is to be read now to learn whether the service can
// be believed, and false if none is due.
func (c *Committer) Control(now time.Time) (id string, ok bool) {
	c.store.reads.with(func(w *diff.Witnesses) { id, ok = w.Control(now) })
	return id, ok
}

// Refuse notes that the service refuses point reads: sweeps alone decide until it
// answers one.
func (c *Committer) Refuse() { c.store.reads.with((*diff.Witnesses).Refuse) }

// End ends the current sweep when its pages are committed, and reports whether
// the next sweep should begin at once. Let ctx outlive a stop of the process by a
// few seconds, so that what was read is committed.
func (c *Committer) End(ctx context.Context, s diff.Sweep) (bool, error) {
	reply := make(chan sweepResult, 1)
	if err := c.put(ctx, work{end: &sweepEnd{s, reply}}); err != nil {
		return false, err
	}
	c.hasten()
	select {
	case v := <-reply:
		return v.again, v.err
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

func (c *Committer) put(ctx context.Context, w work) error {
	select {
	case c.queue <- w:
		return nil
	default:
		c.hasten()
	}
	select {
	case c.queue <- w:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// hasten ends a linger, this one or the next.
func (c *Committer) hasten() {
	select {
	case c.urgent <- struct{}{}:
	default:
	}
}

// Close says that no page and no end follow. Run returns when it has committed
// what waits.
func (c *Committer) Close() { close(c.queue) }

// Run commits what is queued until Close, and proposes the hidden rooms, whether pages
// come or not.
func (c *Committer) Run() {
	var b batch
	var began time.Time // of the last commit
	hidden := time.NewTicker(hiddenEvery)
	defer hidden.Stop()
	for {
		var w work
		ok := true
		select {
		case now := <-hidden.C:
			c.store.askHidden(now)
			continue
		case w, ok = <-c.queue:
		}
		if !ok {
			return
		}
		if w.end == nil && time.Since(began) < hurry {
			select {
			case <-time.After(linger):
			case <-c.urgent:
			}
		}
		c.gather(&b, w)
		began = time.Now()
		c.commit(b.pages)
		c.commitProbes(b.probes)
		c.commitReads(b.reads)
		c.reportHeld(c.store.Status())
		if b.end != nil {
			c.end(b.end)
		}
		b.clear()
	}
}

// next returns what waits in the queue, if anything does.
func (c *Committer) next() (w work, ok bool) {
	select {
	case w, ok = <-c.queue:
	default:
	}
	return w, ok
}

func (c *Committer) commit(pages []diff.Page) {
	if len(pages) == 0 || c.failed.Load() != nil {
		return
	}
	span := c.startSpan(pages)
	err := c.store.Commit(pages...)
	spans.End(span, err)
	if err != nil {
		c.failed.Store(&err)
	}
}

// commitProbes commits probes. An error gives the sweep up, too: what is known of its rooms
// is not what it should be.
func (c *Committer) commitProbes(probes []diff.Page) {
	if len(probes) == 0 {
		return
	}
	if err := c.store.CommitProbes(probes...); err != nil {
		c.failed.Store(&err)
	}
}

// commitReads commits the answers of point reads. An error gives the sweep up,
// too: what is known of its rooms is not what it should be.
func (c *Committer) commitReads(reads []diff.Read) {
	if len(reads) == 0 {
		return
	}
	if err := c.store.CommitReads(reads...); err != nil {
		c.failed.Store(&err)
	}
}

// startSpan starts the span of a commit, linked with those of its pages.
func (c *Committer) startSpan(pages []diff.Page) trace.Span {
	_, span := c.tracer.Start(context.Background(), "commit", trace.WithAttributes(attribute.Int("roomwatch.pages", len(pages))),
		spans.Links(func(yield func(string) bool) {
			for _, p := range pages {
				if !yield(p.Trace) {
					return
				}
			}
		}))
	return span
}

func (c *Committer) end(e *sweepEnd) {
	var v sweepResult
	if err := c.failed.Swap(nil); err != nil {
		e.sweep.Complete = false
		v.err = *err
	}
	before := c.store.Status()
	again, err := c.store.EndSweep(e.sweep)
	if v.err == nil {
		v.again, v.err = again, err
	}
	c.report(before, c.store.Status())
	e.reply <- v
}

// reportHeld says when the guard begins and ceases to hold back ends that reads have
// proved, and what became of the rooms.
func (c *Committer) reportHeld(now Status) {
	ctx := context.Background()
	held, before := now.Held.Proved > 0, c.last.Held.Proved > 0
	switch {
	case held && !before:
		c.log.WarnContext(ctx, "mass end by point reads doubted", "proved", now.Held.Proved, "absent", now.Held.Absent, "rooms", now.Held.Known,
			"fix", "look at what the service answers; if the rooms are really gone, nothing is to be done: they end when enough reads, far enough apart, agree")
	case before && !held && now.Rooms < c.last.Rooms:
		c.log.WarnContext(ctx, "mass end by point reads believed", "ended", c.last.Rooms-now.Rooms, "rooms", now.Rooms)
	case before && !held:
		c.log.InfoContext(ctx, "mass end by point reads not confirmed", "rooms", now.Rooms)
	}
	c.last = now
}

// report says when the mass-end guard begins and ends to hold events back, and what
// became of the rooms. Nothing else is committed between before and now.
func (c *Committer) report(before, now Status) {
	ctx := context.Background()
	switch {
	case now.Guarded && !before.Guarded:
		c.log.WarnContext(ctx, "mass end doubted", "missing", now.Missing, "rooms", now.Rooms,
			"fix", "look at what the service answers; if the rooms are really gone, nothing is to be done: they end when enough complete sweeps agree")
	case before.Guarded && !now.Guarded && now.Rooms < before.Rooms:
		c.log.WarnContext(ctx, "mass end believed", "ended", before.Rooms-now.Rooms, "rooms", now.Rooms)
	case before.Guarded && !now.Guarded:
		c.log.InfoContext(ctx, "mass end not confirmed: the list shows the rooms again", "missing", now.Missing, "rooms", now.Rooms)
	}
}
