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

const (
	mindEvery   = 5 * time.Second  // how often the streams are checked
	surveyEvery = 30 * time.Second // how often what the store keeps is counted
)

// A place keeps the position of a target in the events, in the store: a durable that
// somebody removed, or a stream that was recreated, is noticed by the next
// roomnotify, too.
type place struct {
	store  *store
	target string
	by     owner // who saves it
}

// Load implements [events.Place].
func (p *place) Load(ctx context.Context) (events.Position, error) {
	var at events.Position
	data, err := p.store.last(ctx, p.store.subject(placePart, p.target))
	if err != nil || data == "" {
		return at, err
	}
	if err := json.Unmarshal([]byte(data), &at); err != nil {
		return at, fmt.Errorf("read the position of %s: %w", p.target, err)
	}
	return at, nil
}

// Save implements [events.Place]. Only the newest is kept.
func (p *place) Save(ctx context.Context, at events.Position) error {
	subject := p.store.subject(placePart, p.target)
	body, err := json.Marshal(struct {
		events.Position
		By owner `json:"by"`
	}{at, p.by})
	if err == nil {
		_, err = p.store.js.Publish(ctx, subject, body)
	}
	if err == nil {
		err = p.store.stream.Purge(ctx, jetstream.WithPurgeSubject(subject), jetstream.WithPurgeKeep(1))
	}
	if err != nil {
		return fmt.Errorf("save the position of %s: %w", p.target, err)
	}
	return nil
}

// lastSeen returns when an earlier roomnotify was last at work for each of the
// targets. Of one that is new, or was in no rule meanwhile, that is not when it was
// for the others.
func (d *daemon) lastSeen(ctx context.Context, s *store) (map[string]time.Time, error) {
	left := map[string]time.Time{}
	for _, t := range d.file.Targets {
		p, err := (&place{store: s, target: t.Name}).Load(ctx)
		if err != nil {
			return nil, err
		}
		if !p.At.IsZero() {
			left[t.Name] = p.At
		}
	}
	return left, nil
}

// mind looks after the streams until ctx is done: it says when one of them became
// unfit, and makes the store's anew when it was removed. That the stream of the
// events was removed is told by who reads it. It also counts what the store keeps.
func (d *daemon) mind(ctx context.Context, s *store) {
	tick := time.NewTicker(mindEvery)
	defer tick.Stop()
	var kept, live changes
	var surveyed time.Time
	for {
		if time.Since(surveyed) >= surveyEvery {
			surveyed = time.Now()
			d.survey(ctx, s)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		d.judge(ctx, &kept, d.cfg.store().stream(), d.mindStore(ctx))
		d.judge(ctx, &live, d.cfg.Stream, d.mindEvents(ctx))
	}
}

func (d *daemon) mindStore(ctx context.Context) error {
	_, err := openStore(ctx, d.js, d.cfg.store(), false)
	if !errors.Is(err, jetstream.ErrStreamNotFound) {
		return err
	}
	if _, err = openStore(ctx, d.js, d.cfg.store(), true); err == nil {
		d.storeWasRemoved(ctx)
	}
	return err
}

func (d *daemon) mindEvents(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, askWait)
	defer cancel()
	s, err := d.js.Stream(ctx, d.cfg.Stream)
	if err == nil {
		_, err = d.cfg.reader().Check(s.CachedInfo().Config, 0)
	}
	return err
}

// judge says when a stream can no longer be used, and when it can again. While
// NATS is away neither is known.
func (d *daemon) judge(ctx context.Context, was *changes, stream string, err error) {
	if ctx.Err() != nil || !d.js.Conn().IsConnected() {
		return
	}
	d.status.stream(stream, err)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		err = nil // of the events: who reads them logs that
	}
	if err == nil && was.last != "" {
		d.log.InfoContext(ctx, "stream can be used again", "stream", stream)
	}
	if was.differ(err) {
		d.log.ErrorContext(ctx, "stream cannot be used", "stream", stream, "error", err, "fix", "see what it says; it is retried forever")
	}
}
