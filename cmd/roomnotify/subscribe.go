package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/diff/retry"
	"roomwatch/publisher/events"
)

// subscribe reads the events for one target. While another roomnotify of the same
// name does that, this one stands by.
func (d *daemon) subscribe(ctx context.Context, s *store, g *target) error {
	standby := &standby{log: g.log, name: d.cfg.Name}
	for {
		err := d.subscribeOnce(ctx, s, g, standby)
		switch {
		case errors.Is(err, events.ErrShared):
			by := s.owner(ctx, g.t.Name)
			if by.Instance == d.me.Instance {
				by = owner{} // it has not saved its position yet
			}
			standby.report(ctx, err, by)
			d.status.standsBy(g.t.Name)
		case errors.Is(err, jetstream.ErrStreamNotFound):
			g.log.WarnContext(ctx, "event stream not found", "stream", d.cfg.Stream, "fix", "check that roomwatch runs, which makes it; roomnotify waits for it")
			d.status.stops(g.t.Name, fmt.Sprintf("stream %s does not exist", d.cfg.Stream))
		default:
			return d.cfg.reader().Explain(err)
		}
		if retry.Sleep(ctx, sharedPause+rand.N(sharedPause/3)) != nil { // two that began together do not meet again
			return nil
		}
	}
}

// subscribeOnce tells the target as long as this roomnotify has its durable.
func (d *daemon) subscribeOnce(ctx context.Context, s *store, g *target, standby *standby) error {
	var tending sync.WaitGroup
	defer tending.Wait()
	ctx, end := context.WithCancel(ctx)
	defer end()
	at := &place{store: s, target: g.t.Name, by: d.me}
	return events.Subscribe(ctx, d.js, events.Options{
		Stream: d.cfg.Stream, Prefix: d.cfg.Prefix, Durable: d.cfg.durable(g.t.Name), Types: d.file.Types(g.t.Name), OnlyNew: true,
		Workers: workers(g.t), Pending: mostPending, AckWait: ackWait, Grace: g.t.RequestTimeout() + graceOverTime,
		// A handler fails only while the store cannot be reached, or at the end: what
		// goes to Park is no event.
		Park: s.subject(parkedPart, g.t.Name), Tries: math.MaxInt,
		Place: at, Log: g.log,
		Begin: func(ctx context.Context) {
			standby.over(ctx)
			at.by.Since = time.Now().UTC()
			if g.restored(ctx) {
				d.status.reads(g.t.Name)
				tending.Go(func() { g.tend(ctx) })
				tending.Go(func() { g.mindPulse(ctx) })
			}
		},
	}, g.handle)
}

// A standby says that another roomnotify tells a target, and when that is over.
type standby struct {
	log   *slog.Logger
	name  string // of the installation
	other *owner // nil: there is none
}

// report says once of each other one who it is.
func (s *standby) report(ctx context.Context, err error, by owner) {
	if s.other != nil && *s.other == by || ctx.Err() != nil {
		return
	}
	s.other = &by
	s.log.ErrorContext(ctx, "another roomnotify runs with this name: standing by", "name", s.name, "error", err,
		"host", by.Host, "instance", by.Instance, "since", by.Since,
		"fix", "stop one of them, or set ROOMNOTIFY_NAME of the one for another rule file; this one goes on when the other is stopped")
}

func (s *standby) over(ctx context.Context) {
	if s.other != nil {
		s.log.InfoContext(ctx, "the other roomnotify has stopped: taking over", "host", s.other.Host, "instance", s.other.Instance)
	}
	s.other = nil
}
