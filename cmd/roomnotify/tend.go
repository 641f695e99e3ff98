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
)

// restored waits until the store could be read; it reports false if ctx is done first.
func (g *target) restored(ctx context.Context) bool {
	for reported := (changes{}); ; {
		err := g.restore(ctx)
		if err == nil {
			return true
		}
		if ctx.Err() == nil && reported.begins(err) {
			g.readFailed(ctx, err)
		}
		if g.pause(ctx, startPause) != nil {
			return false
		}
	}
}

func (g *target) readFailed(ctx context.Context, err error) {
	g.log.WarnContext(ctx, "stored notifications cannot be read", "error", err, "fix", "check that NATS runs; it is retried forever")
}

// restore takes over what an earlier roomnotify has left in the store.
func (g *target) restore(ctx context.Context) error {
	for _, r := range g.rules {
		s, err := g.store.next(ctx, g.store.subject(heldPart, g.t.Name, r.Name), 0)
		if err != nil {
			return err
		}
		r.mu.Lock()
		r.holding = s != nil
		r.mu.Unlock()
	}
	s, err := g.queue(0).next(ctx)
	if err != nil {
		return err
	}
	if s != nil { // as if it had just gone down: the first thing is to try
		g.mu.Lock()
		g.is, g.waiting, g.downAt = down, true, g.now()
		g.again.Said()
		g.mu.Unlock()
	}
	return nil
}

// tend sends digests that are due, and tries a target that is down, until
// roomnotify stops. What is on its way then is finished.
func (g *target) tend(ctx context.Context) {
	var reported changes
	logged := g.now()
	work, end := g.outlive(ctx)
	defer end()
	for g.awaitMultiple(ctx, tendEvery) {
		err := g.round(work)
		if ctx.Err() != nil {
			return
		}
		if reported.begins(err) {
			g.readFailed(ctx, err)
		}
		if g.now().Sub(logged) >= logEvery {
			logged = g.now()
			g.logLate(ctx)
		}
	}
}

func (g *target) logLate(ctx context.Context) {
	g.mu.Lock()
	n := g.late - g.lateSaid
	g.lateSaid = g.late
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
	if err := g.setAside(ctx, s.n, no.Text, s.seq); err != nil {
		return err
	}
	return g.store.remove(ctx, s)
}

// tellWaiting tells what waits, within the limits of the target: what is above
// them is held back, and a digest tells it. A notification is removed after it
// was told or stored elsewhere; who dies before tells it again.
func (g *target) tellWaiting(ctx context.Context) error {
	g.mu.Lock()
	look := g.waiting || !g.now().Before(g.lookAt)
	g.mu.Unlock()
	for look && ctx.Err() == nil && g.stop.Err() == nil && g.ready() {
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
			g.lookAt = g.now().Add(lookAgain)
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
	held, err := g.holdBack(ctx, g.rule(s.n.Rule), s.n, s.seq)
	if held && err == nil {
		err = g.store.remove(ctx, s)
	}
	return held, err
}

// tellStored tells one notification that waits; it reports false if it continues
// waiting.
func (g *target) tellStored(ctx context.Context, s *stored) (settled bool, err error) {
	err = g.attempt(ctx, s.n)
	no, refused := errors.AsType[*form.Refusal](err)
	switch {
	case errors.Is(err, errUnready), errors.Is(err, errStopping):
		return false, nil
	case refused:
		err = g.giveUp(ctx, s, no)
	default:
		err = g.store.remove(ctx, s)
	}
	return err == nil, err
}
