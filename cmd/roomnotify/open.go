package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/diff/retry"
	"roomwatch/publisher/natsconn"
	"roomwatch/publisher/streams"
)

// open waits for the stream of events and opens the store; nil if ctx is done first.
func (d *daemon) open(ctx context.Context) (*store, error) {
	var reported changes
	for {
		s, err := d.tryOpen(ctx)
		switch {
		case ctx.Err() != nil:
			return nil, nil
		case err == nil:
			return s, nil
		case !streams.MayPass(err), d.js.Conn().IsClosed():
			return nil, err
		}
		d.status.waits(err)
		if reported.differ(err) {
			d.log.WarnContext(ctx, "waiting for NATS", "error", err, "fix", "check that NATS and roomwatch run; it is retried forever")
		}
		if retry.Sleep(ctx, startPause) != nil {
			return nil, nil
		}
	}
}

func (d *daemon) tryOpen(ctx context.Context) (*store, error) {
	if nc := d.js.Conn(); !nc.IsConnected() {
		return nil, natsconn.Of(nc).WhyAway()
	}
	ask, cancel := context.WithTimeout(ctx, askWait)
	defer cancel()
	live, err := d.js.Stream(ask, d.cfg.Stream)
	if err != nil {
		return nil, fmt.Errorf("stream %s: %w", d.cfg.Stream, d.cfg.reader().Explain(err))
	}
	warnings, err := d.cfg.reader().Check(live.CachedInfo().Config, 0)
	if err != nil {
		return nil, err
	}
	s, err := openStore(ctx, d.js, d.cfg.store(), false)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		s, err = d.makeStore(ctx)
	}
	if err != nil {
		return nil, err
	}
	for _, w := range warnings {
		d.log.WarnContext(ctx, "stream has an unusual setting", "stream", d.cfg.Stream, "setting", w)
	}
	for _, w := range s.warnings {
		d.log.WarnContext(ctx, "stream has an unusual setting", "stream", d.cfg.store().stream(), "setting", w)
	}
	if d.request == "" {
		d.asked(ctx, s) // what somebody asked of an earlier one
	}
	d.left, err = d.lastSeen(ask, s)
	return s, err
}

// makeStore makes the stream of the store. If there is a durable of a target already,
// an earlier roomnotify was at work, and the stream was removed since: what it held is gone.
func (d *daemon) makeStore(ctx context.Context) (*store, error) {
	ask, cancel := context.WithTimeout(ctx, askWait)
	defer cancel()
	removed := false
	for _, name := range d.told() { // of others NATS may not allow to ask
		_, err := d.js.Consumer(ask, d.cfg.Stream, d.cfg.durable(name))
		if err == nil {
			removed = true
			break
		}
		if !errors.Is(err, jetstream.ErrConsumerNotFound) {
			return nil, fmt.Errorf("look for the durable of target %s: %w", name, d.cfg.reader().Explain(err))
		}
	}
	s, err := openStore(ctx, d.js, d.cfg.store(), true)
	if err == nil && removed {
		d.storeWasRemoved(ctx)
	}
	return s, err
}

func (d *daemon) storeWasRemoved(ctx context.Context) {
	d.log.ErrorContext(ctx, "stream was removed and is recreated: what was held back, waited or was dead in it is gone, and which milestones and silences were told",
		"stream", d.cfg.store().stream(), "fix", "find out who removed it; `roomnotify test --since` shows what the rules tell of a time, to compare it with what has arrived")
}

// changes says which of the errors that come repeatedly are logged.
type changes struct {
	last  string
	again retry.Reminder
}

// differ reports whether an error says something else than the one before, or has
// lasted so long that it is logged again. After nil any error differs.
func (c *changes) differ(err error) bool {
	return c.tells(err, err != nil && err.Error() != c.last)
}

// begins reports whether an error is the first after nil, or errors have lasted so
// long that one is logged again.
func (c *changes) begins(err error) bool { return c.tells(err, c.last == "") }

func (c *changes) tells(err error, differs bool) bool {
	if err == nil {
		*c = changes{}
		return false
	}
	c.last = err.Error()
	if !differs && !c.again.Due() {
		return false
	}
	c.again.Said()
	return true
}
