package main

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"roomwatch/diff"
	"roomwatch/state"
)

const (
	// waitingPages is how many pages may wait, while as many are committed together.
	waitingPages = 256
	// A page that comes within hurry after the last commit began is one of many, and
	// they change little: it waits for linger, or until as many wait as may, so that
	// the disk's sync, the stream's batch and the change of goroutines are paid once
	// for all that come meanwhile. At the vendor's quota pages are farther apart, as a rule.
	hurry  = 20 * time.Millisecond
	linger = 50 * time.Millisecond
)

// A store keeps what is known and judges what is seen: a [state.Store].
type store interface {
	Commit(pages ...diff.Page) error
	EndSweep(diff.Sweep) (again bool, err error)
	Status() state.Status
}

// A detector takes the pages that the poller reads and commits them: while one
// commit is on its way the next pages are fetched, and those that wait are
// committed together, so that the disk's sync is paid once for many of them.
//
// An error of the state gives the sweep up: its further pages are dropped, it
// proves no absence, and the next sweep finds whatever was not committed.
type detector struct {
	store  store
	log    *slog.Logger
	tracer trace.Tracer
	queue  chan work
	urgent chan struct{} // capacity 1: the queue is full, or the sweep has ended
	memory *memoryLimit

	failed atomic.Pointer[error] // why the sweep that is going on was given up
	sweep  atomic.Uint64         // its number
}

// work is a page, or the end of the sweep.
type work struct {
	page diff.Page
	end  *sweepEnd
}

type sweepEnd struct {
	sweep diff.Sweep
	reply chan<- verdict // capacity 1
}

type verdict struct {
	again bool
	err   error
}

func newDetector(s store, memory *memoryLimit, log *slog.Logger, tracer trace.Tracer) *detector {
	d := &detector{store: s, log: log, tracer: tracer, queue: make(chan work, waitingPages), urgent: make(chan struct{}, 1), memory: memory}
	d.sweep.Store(s.Status().Sweep + 1)
	return d
}

// Page implements [poller.Sink].
func (d *detector) Page(ctx context.Context, p diff.Page) error {
	if err := d.failed.Load(); err != nil {
		return *err
	}
	return d.put(ctx, work{page: p})
}

// End implements [poller.Sink]. Its ctx outlives a stop of the process by a few
// seconds: what was read is committed.
func (d *detector) End(ctx context.Context, s diff.Sweep) (bool, error) {
	reply := make(chan verdict, 1)
	if err := d.put(ctx, work{end: &sweepEnd{s, reply}}); err != nil {
		return false, err
	}
	d.hasten()
	select {
	case v := <-reply:
		return v.again, v.err
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

func (d *detector) put(ctx context.Context, w work) error {
	select {
	case d.queue <- w:
		return nil
	default:
		d.hasten()
	}
	select {
	case d.queue <- w:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// hasten ends a linger, this one or the next.
func (d *detector) hasten() {
	select {
	case d.urgent <- struct{}{}:
	default:
	}
}

// Run commits until the queue is closed and empty.
func (d *detector) Run() {
	var pages []diff.Page
	var began time.Time // of the last commit
	for w := range d.queue {
		if w.end == nil && time.Since(began) < hurry {
			select {
			case <-time.After(linger):
			case <-d.urgent:
			}
		}
		var end *sweepEnd
		pages, end = d.gather(pages[:0], w)
		began = time.Now()
		d.commit(pages)
		clear(pages) // their rooms need not stay in memory until the next ones come
		d.memory.fit(int(d.store.Status().Rooms))
		if end != nil {
			d.end(end)
		}
	}
}

// gather adds w and what waits behind it to pages. It stops at the end of their
// sweep and returns that.
func (d *detector) gather(pages []diff.Page, w work) ([]diff.Page, *sweepEnd) {
	for ok := true; ok && w.end == nil; {
		if pages = append(pages, w.page); len(pages) == waitingPages {
			return pages, nil
		}
		w, ok = d.next()
	}
	return pages, w.end
}

// next returns what waits in the queue, if anything does.
func (d *detector) next() (w work, ok bool) {
	select {
	case w, ok = <-d.queue:
	default:
	}
	return w, ok
}

func (d *detector) commit(pages []diff.Page) {
	if len(pages) == 0 || d.failed.Load() != nil {
		return
	}
	span := d.startSpan(pages)
	defer span.End()
	if err := d.store.Commit(pages...); err != nil {
		span.SetStatus(codes.Error, err.Error())
		d.failed.Store(&err)
	}
}

// startSpan starts the span of a commit, linked with those of its pages.
func (d *detector) startSpan(pages []diff.Page) trace.Span {
	opts := []trace.SpanStartOption{trace.WithAttributes(attribute.Int("roomwatch.pages", len(pages)))}
	for _, p := range pages {
		if p.Trace == "" {
			continue
		}
		ctx := propagation.TraceContext{}.Extract(context.Background(), propagation.MapCarrier{"traceparent": p.Trace})
		opts = append(opts, trace.WithLinks(trace.LinkFromContext(ctx)))
	}
	_, span := d.tracer.Start(context.Background(), "commit", opts...)
	return span
}

func (d *detector) end(e *sweepEnd) {
	var v verdict
	if err := d.failed.Swap(nil); err != nil {
		e.sweep.Complete = false
		v.err = *err
	}
	before := d.store.Status().Guarded
	again, err := d.store.EndSweep(e.sweep)
	d.sweep.Add(1)
	if v.err == nil {
		v.again, v.err = again, err
	}
	d.report(before, d.store.Status())
	e.reply <- v
}

// report says when the mass-end guard begins and ends to hold events back.
func (d *detector) report(before bool, now state.Status) {
	ctx := context.Background()
	switch {
	case now.Guarded && !before:
		d.log.WarnContext(ctx, "mass end doubted", "missing", now.Missing, "rooms", now.Rooms,
			"mend", "look at what the service answers; if the rooms are really gone, nothing is to be done: they end when enough complete sweeps agree")
	case before && !now.Guarded:
		d.log.InfoContext(ctx, "mass end no longer doubted", "missing", now.Missing, "rooms", now.Rooms)
	}
}
