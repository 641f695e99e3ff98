package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v4"

	"roomwatch/cmd/roomnotify/form"
	"roomwatch/cmd/roomnotify/rules"
	"roomwatch/publisher/events"
)

const (
	retryFirst = time.Second
	retryMost  = 30 * time.Second // also the longest that a target may ask for while its notifications wait in memory
)

var (
	errStopping = errors.New("roomnotify stops")
	errDown     = errors.New("target is down")
)

// A target is told what its rules want it to know.
//
// What is true of an event, by what happened to it:
//
//	the target took it           it is acknowledged
//	a limit, or a quiet hour     it is in the store as held, then acknowledged; a digest tells it
//	the target is down           it is in the store as dead by outage, then acknowledged; told when the target is up
//	the target refuses it        it is in the store as dead by refusal, then acknowledged; `roomnotify resend` tells it
//	the store does not take it   it is not acknowledged, and tried again
//	roomnotify dies before one   it is not acknowledged: the next roomnotify gets it,
//	of these                     and what it tells has the same id
//
// So nothing is lost, an event is held up for no longer than its tries take, and
// a notification can come more than once, always with the same id.
type target struct {
	t     *rules.Target
	rules []*ruleState
	store *store
	send  func(context.Context, form.Notification) error
	log   *slog.Logger
	stop  context.Context // done: nothing new is tried

	mu        sync.Mutex
	limit     window
	is        condition
	notBefore time.Time // the target asked to be left alone until then
	probeAt   time.Time // when a target that is down is tried again
	probing   *backoff.ExponentialBackOff
	waiting   bool // there may be letters that wait for the target
	late      int  // events passed over since this was last logged
}

// A ruleState is a rule and what is known of what it holds back from one target.
type ruleState struct {
	*rules.Rule
	limit window // with the target's mu

	mu      sync.Mutex // while something is held back, so that the end of a digest is no race
	holding bool
	due     time.Time // of the next digest
}

func newTarget(ctx context.Context, t *rules.Target, list []*rules.Rule, s *store, send func(context.Context, form.Notification) error, log *slog.Logger) *target {
	g := &target{
		t: t, store: s, send: send, stop: ctx, log: log.With("target", t.Name, "kind", t.Kind, "host", t.Host()),
		limit: window{limit: t.PerMinute()}, is: up, probing: newBackOff(15*time.Second, 5*time.Minute),
	}
	for _, r := range list {
		g.rules = append(g.rules, &ruleState{Rule: r, limit: window{limit: r.Limit}})
	}
	return g
}

func newBackOff(first, most time.Duration) *backoff.ExponentialBackOff {
	return backoff.NewExponentialBackOff(backoff.WithInitialInterval(first), backoff.WithMaxInterval(most), backoff.WithMultiplier(2), backoff.WithMaxElapsedTime(0))
}

// handle tells what the rules make of an event. It returns nil when each
// notification was told or is in the store.
func (g *target) handle(ctx context.Context, e events.Event) error {
	for _, r := range g.rules {
		v := r.Judge(e, time.Now())
		if v.Late {
			g.mu.Lock()
			g.late++
			g.mu.Unlock()
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

// tell tells a notification, or sees that it will be told.
func (g *target) tell(ctx context.Context, r *ruleState, n form.Notification) error {
	if g.condition() == down {
		return g.wait(ctx, n, "the target was down already")
	}
	held, err := g.holdBack(ctx, r, n)
	if held || err != nil {
		return err
	}
	err = g.attempt(ctx, n)
	var no *form.Refusal
	switch {
	case err == nil, errors.Is(err, errStopping):
		return err
	case errors.Is(err, errDown):
		return g.wait(ctx, n, err.Error())
	case errors.As(err, &no):
		return g.store.bury(ctx, n, refused, no.Text)
	}
	return err // unreachable: an attempt ends in one of these
}

// wait stores a notification until the target is up again.
func (g *target) wait(ctx context.Context, n form.Notification, reason string) error {
	if err := g.store.bury(ctx, n, outage, reason); err != nil {
		return err
	}
	g.mu.Lock()
	g.waiting = true // only now: who looks for it has to find it
	g.mu.Unlock()
	return nil
}

// holdBack stores a notification that must not be told now, and reports whether
// it was one. While something is held back, so is what comes after it: a digest
// never tells what is older than what was told before.
func (g *target) holdBack(ctx context.Context, r *ruleState, n form.Notification) (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	due := now
	if !r.holding && !r.Quiet.At(now) {
		var free bool
		if free, due = g.take(r, now); free {
			return false, nil
		}
	}
	if err := g.store.hold(ctx, n); err != nil {
		return true, err
	}
	if !r.holding {
		r.holding, r.due = true, due
		g.log.DebugContext(ctx, "hold back", "rule", r.Name, "quiet", r.Quiet.At(now))
	}
	return true, nil
}

// take takes a place in the minute of the rule and of the target, or says when
// there is one.
func (g *target) take(r *ruleState, now time.Time) (ok bool, due time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, w := range []*window{&g.limit, &r.limit} {
		if !w.free(now) && w.end().After(due) {
			due = w.end()
		}
	}
	if !due.IsZero() {
		return false, due
	}
	g.limit.take(now)
	r.limit.take(now)
	return true, now
}

// attempt tries a notification until the target takes it (nil), refuses it (a
// permanent [form.Refusal]), is down (errDown), or roomnotify stops (errStopping).
func (g *target) attempt(ctx context.Context, n form.Notification) error {
	pauses := newBackOff(retryFirst, retryMost)
	for try := 1; ; try++ {
		if err := g.leaveAlone(ctx); err != nil {
			return err
		}
		err := g.send(ctx, n)
		if err == nil {
			g.become(ctx, up, "")
			return nil
		}
		if ctx.Err() != nil {
			return errStopping // the answer was not waited for
		}
		no, ok := errors.AsType[*form.Refusal](err)
		if !ok {
			no = &form.Refusal{Text: err.Error()} // unreachable: send returns refusals
		}
		switch {
		case no.Permanent:
			g.become(ctx, refusing, no.Text)
			return no
		case g.condition() == down:
			return fmt.Errorf("%w: %s", errDown, no.Text) // another notification has used up the tries
		case try >= g.t.MostTries() || no.After > retryMost:
			g.goDown(ctx, no, try)
			return fmt.Errorf("%w: after %d tries: %s", errDown, try, no.Text)
		}
		g.log.DebugContext(ctx, "try again", "id", n.ID, "try", try, "error", no.Text)
		g.mu.Lock()
		if t := time.Now().Add(no.After); no.After > 0 && t.After(g.notBefore) {
			g.notBefore = t
		}
		g.mu.Unlock()
		if !g.sleep(ctx, pauses.NextBackOff()) {
			return errStopping
		}
	}
}

// leaveAlone waits while the target has asked for it: a limit is the target's,
// not that of one notification.
func (g *target) leaveAlone(ctx context.Context) error {
	for {
		g.mu.Lock()
		wait := time.Until(g.notBefore)
		g.mu.Unlock()
		if wait <= 0 {
			return nil
		}
		if !g.sleep(ctx, wait) {
			return errStopping
		}
	}
}

// sleep reports false if roomnotify stops first.
func (g *target) sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-g.stop.Done():
	case <-ctx.Done():
	}
	return false
}
