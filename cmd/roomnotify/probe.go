package main

import (
	"context"
	"errors"
	"time"

	"roomwatch/cmd/roomnotify/form"
)

const (
	probeFirst = 15 * time.Second
	probeMax   = 5 * time.Minute

	// maxSuspects is how many notifications may be what is wrong, rather than the
	// target: while no more have failed, one that comes is tried soon.
	maxSuspects = 3
)

// probe tries a target that is down with the oldest notification that waits for
// it. If there is none, the next notification will show how it does.
//
// If the oldest fails, it tries another, too, each time the next one: a
// notification that the target cannot stand does not keep it down. The oldest
// goes first, so that they are told in their order when it is up again.
func (g *target) probe(ctx context.Context) error {
	s, err := g.queue(0).next(ctx)
	switch {
	case err != nil:
		return err
	case s == nil:
		g.become(ctx, up, "")
		return nil
	}
	no, err := g.try(ctx, s)
	if err != nil || no == nil {
		return err
	}
	other, err := g.queue(max(g.probeFrom, s.seq+1)).next(ctx)
	if err == nil && other == nil {
		other, err = g.queue(s.seq + 1).next(ctx)
	}
	if err != nil {
		return err
	}
	if other != nil {
		g.probeFrom = other.seq + 1
		no, err = g.try(ctx, other)
	}
	if err == nil && no != nil {
		g.goDown(ctx, no, 1)
	}
	return err
}

// try makes one request for a probe. It returns why the target is still down;
// nil if it is not.
func (g *target) try(ctx context.Context, s *stored) (*form.Refusal, error) {
	err := g.once(ctx, s.n)
	no, failed := errors.AsType[*form.Refusal](err)
	switch {
	case errors.Is(err, errUnready), failed && no.Busy:
		return nil, nil // throttled
	case failed && !no.Permanent:
		return no, nil
	case failed:
		if g.condition() == down { // it failed alone
			g.become(ctx, refusing, no.Text)
		}
		return nil, g.giveUp(ctx, s, no)
	case err != nil:
		return nil, err
	}
	return nil, g.store.remove(ctx, s)
}

// suspects returns how many notifications have failed since one was taken; g.mu
// is held.
func (g *target) suspects() (n int) {
	for _, f := range g.failing {
		if !f.last.Before(g.taken) {
			n++
		}
	}
	return n
}
