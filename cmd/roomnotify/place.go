package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/publisher/events"
)

// mindEvery is how often the store's stream is looked at.
const mindEvery = 5 * time.Second

// A place is where a target is in the events, kept in the store: a durable that
// somebody removed, or a stream that was made anew, is noticed by the next
// roomnotify, too.
type place struct {
	store  *store
	target string
}

// Load implements [events.Place].
func (p place) Load(ctx context.Context) (events.Position, error) {
	var at events.Position
	data, err := p.store.last(ctx, p.store.subject(placePart, p.target))
	if err != nil || data == "" {
		return at, err
	}
	if err := json.Unmarshal([]byte(data), &at); err != nil {
		return at, fmt.Errorf("read the place of %s: %w", p.target, err)
	}
	return at, nil
}

// Save implements [events.Place]. Only the newest is kept.
func (p place) Save(ctx context.Context, at events.Position) error {
	subject := p.store.subject(placePart, p.target)
	body, err := json.Marshal(at)
	if err == nil {
		_, err = p.store.js.Publish(ctx, subject, body)
	}
	if err == nil {
		err = p.store.stream.Purge(ctx, jetstream.WithPurgeSubject(subject), jetstream.WithPurgeKeep(1))
	}
	if err != nil {
		return fmt.Errorf("save the place of %s: %w", p.target, err)
	}
	return nil
}

// lastSeen returns when an earlier roomnotify was last at work for any of the
// targets; zero if that is not known.
func (d *daemon) lastSeen(ctx context.Context, s *store) (at time.Time, err error) {
	for _, t := range d.file.Targets {
		p, err := place{s, t.Name}.Load(ctx)
		if err != nil {
			return at, err
		}
		if p.At.After(at) {
			at = p.At
		}
	}
	return at, nil
}

// mind makes the store's stream anew when it was removed, and says when it became
// unfit, until ctx is done.
func (d *daemon) mind(ctx context.Context) {
	tick := time.NewTicker(mindEvery)
	defer tick.Stop()
	var told string
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		_, err := openStore(ctx, d.js, d.cfg.store(), false)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			if _, err = openStore(ctx, d.js, d.cfg.store(), true); err == nil {
				d.log.ErrorContext(ctx, "stream was removed and is made anew: what was held back, waited or was dead in it is gone", "stream", d.cfg.store().stream())
			}
		}
		switch {
		case err == nil:
			told = ""
		case ctx.Err() == nil && d.js.Conn().IsConnected() && err.Error() != told:
			told = err.Error()
			d.log.ErrorContext(ctx, "stream cannot be used", "error", err, "fix", "see what it says; it is tried again for ever")
		}
	}
}
