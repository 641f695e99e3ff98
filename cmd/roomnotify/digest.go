package main

import (
	"context"
	"errors"

	"roomwatch/cmd/roomnotify/form"
)

const (
	mostHeld    = 2000      // notifications in one digest; the rest is told by the next
	mostItems   = 400       // of them in the generic form, which has them all
	mostPayload = 512 << 10 // bytes of them
)

// digest tells what a rule holds back, if it is time.
//
// What a crash leaves behind, by the moment it comes:
//
//	before the boundary is stored       held messages; the next digest has them, and perhaps more
//	after it, before they are removed   the next roomnotify sends a digest of the same
//	                                    messages, with the same id; it may wait already
//	after they are removed              a boundary below all that is held, which means nothing
func (g *target) digest(ctx context.Context, r *ruleState) error {
	now := g.now()
	r.mu.Lock()
	due := r.holding && !now.Before(r.due) && !r.Quiet.At(now)
	r.mu.Unlock()
	if !due {
		return nil
	}
	if ok, at := g.take(r, now); !ok {
		r.mu.Lock()
		r.due = at
		r.mu.Unlock()
		return nil
	}
	held := g.store.subject(heldPart, g.t.Name, r.Name)
	n, last, err := g.collect(ctx, r, held)
	if err != nil {
		return err
	}
	if last > 0 {
		err := g.attempt(ctx, n)
		no, refusal := errors.AsType[*form.Refusal](err)
		switch {
		case errors.Is(err, errStopping):
			return nil // it stays held
		case errors.Is(err, errUnready): // as one notification, which others can overtake if it fails alone
			err = g.wait(ctx, n, err.Error(), last)
		case refusal:
			err = g.setAside(ctx, n, no.Text, last)
		}
		if err != nil {
			return err
		}
		if err := g.store.drop(ctx, held, last); err != nil {
			return err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	l, err := g.store.next(ctx, held, 0)
	if err == nil {
		r.holding = l != nil
	}
	return err
}

// collect returns the notification that tells what is held, and the sequence number of the
// last message in it; 0 if nothing is held.
func (g *target) collect(ctx context.Context, r *ruleState, subject string) (form.Notification, uint64, error) {
	begun, err := g.store.boundary(ctx, g.t.Name, r.Name)
	if err != nil {
		return form.Notification{}, 0, err
	}
	keep, most := form.MostItems, mostHeld
	if g.t.Kind == "webhook" || g.t.Kind == "alertmanager" {
		keep, most = mostItems, mostItems
	}
	d := form.Digest{Counts: map[string]int{}}
	var last uint64
	for size := 0; begun > 0 || d.Total < most && size < mostPayload; {
		l, err := g.store.next(ctx, subject, last+1)
		if err != nil {
			return form.Notification{}, 0, err
		}
		if l == nil || begun > 0 && l.seq > begun && d.Total > 0 {
			break
		}
		if begun > 0 && l.seq > begun {
			begun = 0 // that digest was told
		}
		if d.Total == 0 {
			d.Since = l.at
		}
		d.Until, last = l.at, l.seq
		d.Total++
		d.Counts[l.n.Type]++
		if len(d.Items) < keep {
			d.Items = append(d.Items, l.n)
			size += l.size
		}
	}
	if last == 0 {
		return form.Notification{}, 0, nil
	}
	if begun == 0 {
		if err := g.store.setBoundary(ctx, g.t.Name, r.Name, last); err != nil {
			return form.Notification{}, 0, err
		}
	}
	if d.Total == 1 {
		return d.Items[0], last, nil // it needs no digest
	}
	return form.NewDigest(d, r.Name, g.t.Name, last), last, nil
}
