package main

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// lookEvery is how often the connection to NATS is checked.
const lookEvery = time.Second

// maxAbsences bounds what is remembered; older events are through by then.
const maxAbsences = 100

// A watch knows when roomnotify could see the events for a target, so that an
// event that waits behind others is not mistaken for one that came late.
type watch struct {
	mu       sync.Mutex
	absences []absence // in order
}

// An absence is a time in which nothing could be seen; an open one has no end.
type absence struct{ from, to time.Time }

// newWatch begins a watch at a time. What was stored since the last one was left
// is seen now; a zero time means that there was none.
func newWatch(left, now time.Time) *watch { return &watch{absences: []absence{{from: left, to: now}}} }

// seen returns when roomnotify could first see what was stored at a time.
func (w *watch) seen(stored time.Time) time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, a := range slices.Backward(w.absences) {
		switch {
		case stored.Before(a.from):
		case stored.Before(a.to):
			return a.to
		default:
			return stored
		}
	}
	return stored
}

// look notes whether NATS is connected.
func (w *watch) look(now time.Time, connected bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	last := &w.absences[len(w.absences)-1]
	switch away := last.to.IsZero(); {
	case away && connected:
		last.to = now
	case !away && !connected:
		// Not a moment earlier: what is in hand already was seen.
		w.absences = append(w.absences, absence{from: now})
		w.absences = w.absences[max(0, len(w.absences)-maxAbsences):]
	}
}

// run looks until ctx is done.
func (w *watch) run(ctx context.Context, nc *nats.Conn) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			w.look(now, nc.IsConnected())
		}
	}
}
