package main

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v4"
	"golang.org/x/time/rate"

	"roomwatch/cmd/roomnotify/form"
	"roomwatch/cmd/roomnotify/rules"
	"roomwatch/diff/retry"
	"roomwatch/publisher/events"
	"roomwatch/publisher/recent"
)

// A target is told what its rules want it to know.
//
// What is true of a notification, by what happened to it:
//
//	the target took it             its event is acknowledged
//	a limit, or a quiet hour       it is in the store as held, then acknowledged; a digest tells it
//	the target is down or          it is in the store as waiting, then acknowledged; told when the
//	throttled, or others wait      target is up again, in the order of the queue
//	the target refuses it, or it   it is in the store as a dead letter, then acknowledged; `roomnotify
//	fails while others are taken   resend` tells it
//	the store does not take it     it is not acknowledged, and retried; what the target has
//	                               answered is remembered, and it is not asked twice
//	roomnotify dies before one     it is not acknowledged: the next roomnotify gets it, and what it
//	of these                       tells has the same id
//
// So nothing is lost, an event is held up for no longer than its tries take, and
// a notification can come more than once, always with the same id.
type target struct {
	t     *rules.Target
	rules []*ruleState
	store keeper
	clock
	send   func(context.Context, form.Notification) error
	watch  *watch
	pulses pulseSource // of the applications
	tally  tally
	log    *slog.Logger
	stop   context.Context // done: nothing new is tried
	pace   *rate.Limiter   // of all requests

	mu             sync.Mutex
	limit          window
	is             condition
	since          time.Time // it is down or throttled
	again          retry.Reminder
	downAt         time.Time // when it went down
	asked          time.Time // until then it has asked to be left alone
	notBefore      time.Time // a target that is down or throttled is not tried before
	probing        *backoff.ExponentialBackOff
	throttling     *backoff.ExponentialBackOff        // where a busy answer names no time
	answered       *recent.Map[string, *form.Refusal] // by id; nil: taken
	failing        map[string]failures                // by id
	taken          time.Time                          // when the newest request that was taken began
	waiting        bool                               // there may be notifications that wait for the target
	arrivals       int                                // how many were stored as waiting
	lookAt         time.Time                          // when the store is read again although waiting is false
	probeFrom      uint64                             // the sequence number in the store from which the second notification of a probe is taken
	late, lateSaid int                                // events skipped; of them those that were logged
	counts         *recent.Map[roomLife, int64]       // the newest view counts of rooms
}

// A roomLife is one life of a room.
type roomLife struct {
	app     int
	room    string
	created int64
}

// maxCounts is of how many rooms a target remembers the view count: an end does
// not say what it was before.
const maxCounts = 50_000

// A ruleState is a rule and what is known of what it holds back from one target.
type ruleState struct {
	*rules.Rule
	limit window // with the target's mu

	mu      sync.Mutex // while something is held back, so that the end of a digest is no race
	holding bool
	due     time.Time // of the next digest
}

func newTarget(ctx context.Context, t *rules.Target, list []*rules.Rule, s keeper, send func(context.Context, form.Notification) error, w *watch, count tally, log *slog.Logger) *target {
	g := &target{
		t: t, store: s, clock: machineClock(), tally: count, send: send, watch: w, stop: ctx, log: log.With("target", t.Name, "kind", t.Kind, "host", t.Host()),
		pace: newPace(t), limit: window{limit: t.PerMinute()}, is: up,
		probing: retry.BackOff(probeFirst, probeMax), throttling: retry.BackOff(2*time.Second, 5*time.Minute),
		answered: recent.New[string, *form.Refusal](maxAnswers), failing: map[string]failures{}, counts: recent.New[roomLife, int64](maxCounts),
	}
	for _, r := range list {
		g.rules = append(g.rules, &ruleState{Rule: r, limit: window{limit: r.Limit}})
	}
	return g
}

// handle tells what the rules make of an event. It returns nil when each
// notification was told or is in the store.
//
// An event is late if it was when roomnotify could first see it: that it waits
// behind others for a slow target makes no event late.
func (g *target) handle(ctx context.Context, e events.Event) error {
	seen, counted := g.watch.seen(e.Stored), g.count(e)
	for _, r := range g.rules {
		v := r.Judge(e, seen, counted)
		if v.Late {
			g.mu.Lock()
			g.late++
			g.mu.Unlock()
			g.tally.skipped.Inc()
		}
		if v.Tell {
			if err := g.tell(ctx, r, form.New(e, r.Name, g.t.Name, 0)); err != nil {
				return err
			}
		}
		for _, m := range v.Milestones {
			first, err := g.store.told(ctx, g.t.Name, r.Name, e, m)
			if err != nil {
				return err
			}
			if !first {
				continue
			}
			if err := g.tell(ctx, r, form.New(e, r.Name, g.t.Name, m)); err != nil {
				return err
			}
		}
	}
	return nil
}

// count notes the view count of an event, and returns that of the one before. At
// an end it notes nothing, so that the same end again finds the same.
func (g *target) count(e events.Event) rules.Count {
	r := e.Data.Room
	life := roomLife{e.App(), r.RoomID, r.CreateTime}
	g.mu.Lock()
	defer g.mu.Unlock()
	before, known := g.counts.Get(life)
	if e.Type != events.RoomEnded {
		g.counts.Put(life, r.ViewCount)
	}
	return rules.Count{Views: before, Known: known}
}

// tell tells a notification, or sees that it will be told. While others wait for
// the target, it waits behind them.
func (g *target) tell(ctx context.Context, r *ruleState, n form.Notification) error {
	if known, no := g.answer(n.ID); known { // the store could not be reached after it
		if no != nil {
			return g.setAside(ctx, n, no.Text, 0)
		}
		return nil
	}
	if reason := g.queues(); reason != "" {
		return g.wait(ctx, n, reason, 0)
	}
	held, err := g.holdBack(ctx, r, n, 0)
	if held || err != nil {
		return err
	}
	err = g.attempt(ctx, n)
	var no *form.Refusal
	switch {
	case err == nil, errors.Is(err, errStopping):
		return err
	case errors.Is(err, errUnready):
		return g.wait(ctx, n, err.Error(), 0)
	case errors.As(err, &no):
		return g.setAside(ctx, n, no.Text, 0)
	}
	return err // unreachable: an attempt ends in one of these
}

// setAside makes a notification a dead letter, perhaps one that is in the store already.
func (g *target) setAside(ctx context.Context, n form.Notification, reason string, from uint64) error {
	if err := g.store.setAside(ctx, n, reason, from); err != nil {
		return err
	}
	g.tally.dead.Inc()
	return nil
}

// queues says why a notification has to wait in the store; empty if it need not.
func (g *target) queues() string {
	if why := g.unready(g.now()); why != "" {
		return why
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.is == down:
		return "the target was down already"
	case g.waiting:
		return "others waited already"
	}
	return ""
}

// wait stores a notification, perhaps one that is in the store already, until the
// target is up again.
func (g *target) wait(ctx context.Context, n form.Notification, reason string, from uint64) error {
	seq, err := g.store.wait(ctx, n, reason, from)
	if err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting = true // only now: who looks for it has to find it
	g.arrivals++
	if soon := g.since.Add(probeFirst); g.is == down && g.suspects() <= maxSuspects && soon.Before(g.notBefore) {
		g.notBefore, g.probeFrom = soon, seq
	}
	return nil
}

// holdBack stores a notification that must not be told now, and reports whether
// it was one. While something is held back, so is what comes after it: a digest
// never tells what is older than what was told before.
func (g *target) holdBack(ctx context.Context, r *ruleState, n form.Notification, from uint64) (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := g.now()
	due := now
	if !r.holding && !r.Quiet.At(now) {
		var free bool
		if free, due = g.take(r, now); free {
			return false, nil
		}
	}
	if err := g.store.hold(ctx, n, from); err != nil {
		return true, err
	}
	g.tally.held.Inc()
	if !r.holding {
		r.holding, r.due = true, due
		g.log.DebugContext(ctx, "notifications are held back", "rule", r.Name, "quiet", r.Quiet.At(now))
	}
	return true, nil
}

// take counts one in the minute of the rule and of the target, or says when
// there is one.
func (g *target) take(r *ruleState, now time.Time) (ok bool, due time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, w := range []*window{&g.limit, &r.limit} {
		if at := w.due(now); at.After(now) && at.After(due) {
			due = at
		}
	}
	if !due.IsZero() {
		return false, due
	}
	g.limit.take(now)
	r.limit.take(now)
	return true, now
}
