package events_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"roomwatch/publisher/events"
	"roomwatch/publisher/natstest"
)

// Who subscribes to a durable that is in use hears it soon, and takes nothing from
// who is at work, be it idle or with its hands full.
func TestSecondSubscriber(t *testing.T) {
	for name, tt := range map[string]struct {
		full bool
		soon time.Duration
	}{"idle": {false, 10 * time.Second}, "full": {true, 70 * time.Second}} {
		t.Run(name, func(t *testing.T) {
			natstest.Run(t, func(t *testing.T, srv *natstest.Server) {
				r := newRig(t, srv)
				var blocked atomic.Bool
				blocked.Store(tt.full)
				w := &worker{fail: func(events.Event) error {
					if blocked.Load() {
						return errAgain
					}
					return nil
				}}
				log, logged := logger()
				stop := r.subscribe(events.Options{Pending: 4, Log: log}, w.handle)
				for i := range 10 {
					r.put("a", fmt.Sprintf("b%dx", i))
				}
				time.Sleep(10 * time.Second)
				place, other, begun := &memory{}, &worker{}, false
				began := time.Now()
				ctx, cancel := context.WithTimeout(r.t.Context(), 10*time.Minute)
				defer cancel()
				err := events.Subscribe(ctx, r.js, events.Options{Durable: "test", Pending: 4, Place: place, Types: []events.Type{events.RoomEnded}, AckWait: 7 * time.Second, Begin: func(context.Context) { begun = true }}, other.handle)
				if took := time.Since(began); !errors.Is(err, events.ErrShared) || took > tt.soon {
					t.Errorf("after %s: %v", took, err)
				}
				if len(other.did()) > 0 || begun || !place.p.Made.IsZero() {
					t.Errorf("the second handled %v, began %t, left the place %+v", other.did(), begun, place.p)
				}
				if c, err := r.js.Consumer(r.t.Context(), "LIVE", "test"); err != nil || c.CachedInfo().Config.AckWait != 30*time.Second {
					t.Errorf("the second has changed the durable: %v", err)
				}
				blocked.Store(false)
				r.put("a")
				until(t, "all", func() bool { return len(w.did()) == 21 })
				if got := w.inOrder("a"); got != chain("a", 11) || strings.Contains(logged(), "another") {
					t.Errorf("the first handled %s, and says:\n%s", got, logged())
				}
				if err := stop(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// A subscriber begins once, before its first event, also behind one that has just
// died.
func TestBegin(t *testing.T) {
	natstest.Run(t, func(t *testing.T, srv *natstest.Server) {
		r := newRig(t, srv)
		stop := r.subscribe(events.Options{}, (&worker{}).handle)
		time.Sleep(time.Second)
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		r.put("a", "b", "a")
		r.steal(2)
		var begun atomic.Int32
		w := &worker{fail: func(events.Event) error {
			if begun.Load() != 1 {
				t.Errorf("an event is handled after %d begins", begun.Load())
			}
			return nil
		}}
		stop = r.subscribe(events.Options{Begin: func(context.Context) { time.Sleep(time.Minute); begun.Add(1) }}, w.handle)
		until(t, "all", func() bool { return len(w.did()) == 3 })
		if got := w.inOrder("a"); got != "a1 a2" || begun.Load() != 1 {
			t.Errorf("handled %s, began %d times", got, begun.Load())
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}
