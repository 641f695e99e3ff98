package main

import (
	"context"
	"errors"
	"time"

	"roomwatch/cmd/roomnotify/form"
)

const (
	tendEvery = time.Second
	logEvery  = time.Minute // what was passed over
)

// restore takes over what an earlier roomnotify has left in the store.
func (g *target) restore(ctx context.Context) error {
	for _, r := range g.rules {
		l, err := g.store.next(ctx, g.store.subject(heldPart, g.t.Name, r.Name), 0)
		if err != nil {
			return err
		}
		r.holding = l != nil
	}
	l, err := g.store.next(ctx, g.letters(), 0)
	if err != nil {
		return err
	}
	if l != nil { // as if it had just gone down: the first thing is to try
		g.is, g.waiting = down, true
	}
	return nil
}

// letters is the subject of what waits until the target is up again.
func (g *target) letters() string { return g.store.subject(deadPart, g.t.Name, "*", outage) }

// tend sends digests that are due, and tries a target that is down, until
// roomnotify stops.
func (g *target) tend(ctx context.Context) {
	tick := time.NewTicker(tendEvery)
	defer tick.Stop()
	var failing bool
	logged := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := g.round(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil && !failing {
			g.log.WarnContext(ctx, "read what was kept", "error", err, "mend", "see that NATS runs; it is tried again for ever")
		}
		failing = err != nil
		if time.Since(logged) >= logEvery {
			logged = time.Now()
			g.logLate(ctx)
		}
	}
}

func (g *target) logLate(ctx context.Context) {
	g.mu.Lock()
	n := g.late
	g.late = 0
	g.mu.Unlock()
	if n > 0 {
		g.log.InfoContext(ctx, "pass over late events", "events", n, "mend", "set late: true in a rule that wants them")
	}
}

func (g *target) round(ctx context.Context) error {
	g.mu.Lock()
	isDown, due := g.is == down, !time.Now().Before(g.probeAt)
	g.mu.Unlock()
	if isDown && !due {
		return nil
	}
	if isDown {
		if err := g.probe(ctx); err != nil || g.condition() == down {
			return err
		}
	}
	if err := g.tellLetters(ctx); err != nil || g.condition() == down {
		return err
	}
	for _, r := range g.rules {
		if err := g.digest(ctx, r); err != nil || g.condition() == down {
			return err
		}
	}
	return nil
}

// probe tries a target that is down with the oldest letter for it, once. If there
// is none, the next notification will show how it does.
func (g *target) probe(ctx context.Context) error {
	l, err := g.oldest(ctx, 0)
	if err != nil {
		return err
	}
	if l == nil {
		g.become(ctx, up, "")
		return nil
	}
	err = g.send(ctx, l.n)
	no, ok := errors.AsType[*form.Refusal](err)
	switch {
	case ctx.Err() != nil:
		return errStopping
	case ok && !no.Permanent:
		g.goDown(ctx, no, 1)
		return nil
	case ok:
		g.become(ctx, refusing, no.Text)
		return g.rebury(ctx, l, no)
	case err != nil:
		return err // unreachable: send returns refusals
	}
	g.become(ctx, up, "")
	return g.store.remove(ctx, l)
}

// oldest returns the first letter that waits for the target and whose rule still
// exists. What a rule has left that does not, `roomnotify resend` can send.
func (g *target) oldest(ctx context.Context, from uint64) (*letter, error) {
	for {
		l, err := g.store.next(ctx, g.letters(), from)
		if err != nil || l == nil || g.rule(l.n.Rule) != nil {
			return l, err
		}
		from = l.seq + 1
	}
}

func (g *target) rule(name string) *ruleState {
	for _, r := range g.rules {
		if r.Name == name {
			return r
		}
	}
	return nil
}

// rebury makes a letter that waited one that was refused.
func (g *target) rebury(ctx context.Context, l *letter, no *form.Refusal) error {
	if err := g.store.bury(ctx, l.n, refused, no.Text); err != nil {
		return err
	}
	return g.store.remove(ctx, l)
}

// tellLetters tells what waited while the target was down, within its limits:
// what is above them is held back, and a digest tells it. A letter is removed
// after it was told or stored elsewhere; who dies before tells it again.
func (g *target) tellLetters(ctx context.Context) (err error) {
	g.mu.Lock()
	waiting := g.waiting
	g.waiting = false // before looking: what comes now sets it again
	g.mu.Unlock()
	if !waiting {
		return nil
	}
	defer func() {
		if err != nil || g.condition() == down {
			g.mu.Lock()
			g.waiting = true
			g.mu.Unlock()
		}
	}()
	for {
		l, err := g.oldest(ctx, 0)
		if err != nil || l == nil {
			return err
		}
		held, err := g.holdBack(ctx, g.rule(l.n.Rule), l.n)
		if err != nil {
			return err
		}
		if !held {
			err = g.attempt(ctx, l.n)
		}
		no, refused := errors.AsType[*form.Refusal](err)
		switch {
		case errors.Is(err, errDown), errors.Is(err, errStopping):
			return nil // it stays where it is
		case refused:
			err = g.rebury(ctx, l, no)
		default:
			err = g.store.remove(ctx, l)
		}
		if err != nil {
			return err
		}
	}
}
