package main

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"

	"roomwatch/cmd/roomnotify/form"
)

const (
	tendEvery = time.Second
	logEvery  = time.Minute // what was skipped
	lookAgain = time.Minute // for what waits without our knowing: sent back by a command, or kept through quiet hours
	batchSize = 64          // notifications read at once for a target that takes several requests at once

	othersProbe = 3 // each such probe is not of the oldest
)

// restore takes over what an earlier roomnotify has left in the store.
func (g *target) restore(ctx context.Context) error {
	for _, r := range g.rules {
		s, err := g.store.next(ctx, g.store.subject(heldPart, g.t.Name, r.Name), 0)
		if err != nil {
			return err
		}
		r.holding = s != nil
	}
	s, err := g.store.next(ctx, g.queue(), 0)
	if err != nil {
		return err
	}
	if s != nil { // as if it had just gone down: the first thing is to try
		g.is, g.waiting = down, true
	}
	return nil
}

// queue is the subject of what waits until the target is up again.
func (g *target) queue() string { return g.store.subject(waitingPart, g.t.Name, "*") }

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
			g.log.WarnContext(ctx, "read what was kept", "error", err, "fix", "see that NATS runs; it is tried again for ever")
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
		g.log.InfoContext(ctx, "late events skipped", "events", n, "fix", "set late: true in a rule that wants them")
	}
}

func (g *target) round(ctx context.Context) error {
	if !g.ready() {
		return nil
	}
	if g.condition() == down {
		if err := g.probe(ctx); err != nil || !g.ready() {
			return err
		}
	}
	if err := g.tellWaiting(ctx); err != nil || !g.ready() {
		return err
	}
	for _, r := range g.rules {
		if err := g.digest(ctx, r); err != nil || !g.ready() {
			return err
		}
	}
	return nil
}

// probe tries a target that is down with the oldest notification that waits for
// it. If there is none, the next notification will show how it does.
//
// If the oldest fails, every third probe tries another, too, each time the next
// one: a notification that the target cannot stand does not keep it down. The
// oldest goes first, so that they are told in their order when it is up again.
func (g *target) probe(ctx context.Context) error {
	s, err := g.first(ctx, 0)
	switch {
	case err != nil:
		return err
	case s == nil:
		g.become(ctx, up, "")
		return nil
	}
	no, err := g.try(ctx, s)
	if g.probes++; err == nil && no != nil && g.probes%othersProbe == 0 {
		other, ferr := g.first(ctx, max(g.probeFrom, s.seq+1))
		if ferr == nil && other == nil {
			other, ferr = g.first(ctx, s.seq+1)
		}
		if ferr != nil {
			return ferr
		}
		if other != nil {
			g.probeFrom = other.seq + 1
			no, err = g.try(ctx, other)
		}
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
	case failed && no.Busy:
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

// first returns the first notification from a place on that waits for the target
// and may be told: its rule still exists, and if it is a digest it is not quiet.
// What a rule that is gone has left, `roomnotify resend` can send.
func (g *target) first(ctx context.Context, from uint64) (*stored, error) {
	for {
		s, err := g.store.next(ctx, g.queue(), from)
		if err != nil || s == nil {
			return s, err
		}
		if r := g.rule(s.n.Rule); r != nil && (s.n.Digest == nil || !r.Quiet.At(time.Now())) {
			return s, nil
		}
		from = s.seq + 1
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

// giveUp makes a notification that waited a dead letter.
func (g *target) giveUp(ctx context.Context, s *stored, no *form.Refusal) error {
	if err := g.store.setAside(ctx, s.n, no.Text); err != nil {
		return err
	}
	return g.store.remove(ctx, s)
}

// tellWaiting tells what waits, within the limits of the target: what is above
// them is held back, and a digest tells it. A notification is removed after it
// was told or stored elsewhere; who dies before tells it again.
func (g *target) tellWaiting(ctx context.Context) error {
	g.mu.Lock()
	look := g.waiting || !time.Now().Before(g.lookAt)
	g.mu.Unlock()
	for look && ctx.Err() == nil && g.ready() {
		g.mu.Lock()
		arrivals := g.arrivals
		g.mu.Unlock()
		list, err := g.batch(ctx)
		if err != nil {
			return err
		}
		if len(list) == 0 {
			g.mu.Lock()
			g.waiting = g.waiting && g.arrivals != arrivals // one came while we looked
			g.lookAt = time.Now().Add(lookAgain)
			look = g.waiting
			g.mu.Unlock()
			continue
		}
		if err := g.tellBatch(ctx, list); err != nil {
			return err
		}
	}
	return nil
}

// batch returns the first notifications that wait.
func (g *target) batch(ctx context.Context) ([]*stored, error) {
	n := 1
	if workers(g.t) > 1 {
		n = batchSize
	}
	var list []*stored
	for from := uint64(0); len(list) < n; {
		s, err := g.first(ctx, from)
		if err != nil || s == nil {
			return list, err
		}
		list = append(list, s)
		from = s.seq + 1
	}
	return list, nil
}

// tellBatch tells one after the other. Of a long queue it tells as many at once
// as the target takes, those of a room one after the other.
func (g *target) tellBatch(ctx context.Context, list []*stored) error {
	var due []*stored
	for _, s := range list {
		held, err := g.holdAgain(ctx, s)
		if err != nil {
			return err
		}
		if !held {
			due = append(due, s)
		}
	}
	var order []string
	rooms := map[string][]*stored{}
	for _, s := range due {
		room := ""
		if len(list) == batchSize && s.n.Event != nil {
			room = s.n.Event.Subject
		}
		if _, known := rooms[room]; !known {
			order = append(order, room)
		}
		rooms[room] = append(rooms[room], s)
	}
	var group errgroup.Group
	group.SetLimit(workers(g.t))
	for _, room := range order {
		group.Go(func() error {
			for _, s := range rooms[room] {
				if settled, err := g.tellStored(ctx, s); err != nil || !settled {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// holdAgain makes one that waits one that is held back, if the limits or the hour
// ask for it. A digest is not held back a second time.
func (g *target) holdAgain(ctx context.Context, s *stored) (bool, error) {
	if known, _ := g.answer(s.n.ID); known || s.n.Digest != nil {
		return false, nil
	}
	held, err := g.holdBack(ctx, g.rule(s.n.Rule), s.n)
	if held && err == nil {
		err = g.store.remove(ctx, s)
	}
	return held, err
}

// tellStored tells one notification that waits; it reports false if it goes on
// waiting.
func (g *target) tellStored(ctx context.Context, s *stored) (settled bool, err error) {
	err = g.attempt(ctx, s.n)
	no, refused := errors.AsType[*form.Refusal](err)
	switch {
	case errors.Is(err, errDown), errors.Is(err, errStopping):
		return false, nil
	case refused:
		err = g.giveUp(ctx, s, no)
	default:
		err = g.store.remove(ctx, s)
	}
	return err == nil, err
}
