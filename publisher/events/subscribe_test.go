package events_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"roomwatch/publisher/events"
	"roomwatch/publisher/natstest"
)

// Many rooms, handlers that fail repeatedly: each event is done once, in
// the order of its room.
func TestOrderOfEachRoom(t *testing.T) {
	natstest.Run(t, func(t *testing.T, srv *natstest.Server) {
		r := newRig(t, srv)
		rng := rand.New(rand.NewPCG(1, 2))
		var fails atomic.Int64
		w := &worker{fail: func(e events.Event) error {
			time.Sleep(time.Duration(e.Data.Sweep) * time.Millisecond)
			if fails.Add(1)%3 == 0 {
				return errAgain
			}
			return nil
		}}
		stop := r.subscribe(events.Options{}, w.handle)
		for range 200 {
			r.put(fmt.Sprintf("%c", 'a'+rng.IntN(10)))
		}
		until(t, "all done", func() bool { return len(w.did()) == 200 })
		for room, n := range r.of {
			if got := w.inOrder(room); got != chain(room, int(n)) {
				t.Errorf("done %s", got)
			}
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
		if p, left := r.pending(); p != 0 || left != 0 {
			t.Errorf("%d not acknowledged, %d left", p, left)
		}
	})
}

// While an event fails, those behind it wait and other rooms continue.
func TestFailingRoomHoldsUpOnlyItself(t *testing.T) {
	natstest.Run(t, func(t *testing.T, srv *natstest.Server) {
		r := newRig(t, srv)
		var fixed atomic.Bool
		w := &worker{fail: func(e events.Event) error {
			if name(e) == "a2" && !fixed.Load() {
				return errAgain
			}
			return nil
		}}
		stop := r.subscribe(events.Options{Workers: 1}, w.handle)
		r.put("a", "a", "a", "b", "b", "c")
		until(t, "others", func() bool { return len(w.did()) == 4 })
		time.Sleep(10 * time.Minute) // NATS has been told that they are worked on
		if got := w.did(); len(got) != 4 || w.inOrder("a") != "a1" {
			t.Errorf("done %v", got)
		}
		if p, _ := r.pending(); p != 2 {
			t.Errorf("%d not acknowledged, want 2", p)
		}
		if c, err := r.js.Consumer(t.Context(), "LIVE", "test"); err != nil || c.CachedInfo().NumRedelivered != 0 {
			t.Errorf("what is held was delivered again: %v", err)
		}
		fixed.Store(true)
		until(t, "the rest", func() bool { return w.inOrder("a") == "a1 a2 a3" })
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// Filters by type, application and room.
func TestFilter(t *testing.T) {
	natstest.Run(t, func(t *testing.T, srv *natstest.Server) {
		r := newRig(t, srv)
		r.put("a", "b", "a", "b", "-a", "c.*>")
		w := &worker{}
		stop := r.subscribe(events.Options{Types: []events.Type{events.RoomCreated, events.RoomEnded}, App: 88888888, Rooms: []string{"a", "c.*>"}}, w.handle)
		until(t, "done", func() bool { return len(w.did()) == 3 })
		if err := stop(); err != nil {
			t.Error(err)
		}
		// The same durable continues with another selection.
		r.put("a", "b", "b")
		stop = r.subscribe(events.Options{Rooms: []string{"b"}}, w.handle)
		until(t, "done", func() bool { return strings.HasSuffix(w.inOrder("b"), "b4") })
		if err := stop(); err != nil {
			t.Error(err)
		}
		if got := w.inOrder("a") + " " + w.inOrder("c"); got != "a1 a3 c.*>1" {
			t.Errorf("done %s", got)
		}
	})
}

// An event that was lost with a subscriber, or on its way, comes before newer
// ones of its room.
func TestLateDeliveryKeepsOrder(t *testing.T) {
	natstest.Run(t, func(t *testing.T, srv *natstest.Server) {
		r := newRig(t, srv)
		w := &worker{}
		stop := r.subscribe(events.Options{}, w.handle)
		r.put("a")
		until(t, "first", func() bool { return len(w.did()) == 1 })
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		r.put("a", "b", "a", "a", "b")
		r.steal(3)
		stop = r.subscribe(events.Options{}, w.handle) // at once, long before AckWait is over
		until(t, "all", func() bool { return len(w.did()) == 6 })
		// And while it runs: another one takes some from under its hands.
		var stolen int
		for range 20 {
			r.put("a", "b")
			c, err := r.js.Consumer(t.Context(), "LIVE", "test")
			if err != nil {
				t.Fatal(err)
			}
			b, err := c.FetchNoWait(1)
			if err != nil {
				t.Fatal(err)
			}
			for range b.Messages() {
				stolen++
			}
		}
		r.put("a", "b")
		until(t, "all", func() bool { return len(w.did()) == 48 })
		if w.inOrder("a") != chain("a", 25) || w.inOrder("b") != chain("b", 23) {
			t.Errorf("%d stolen; done %v", stolen, w.did())
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// NATS is away repeatedly; acknowledgements get lost on the way.
func TestSubscriberSurvivesRestarts(t *testing.T) {
	natstest.Run(t, func(t *testing.T, srv *natstest.Server) {
		r := newRig(t, srv)
		w := &worker{fail: func(events.Event) error { time.Sleep(30 * time.Millisecond); return nil }}
		stop := r.subscribe(events.Options{}, w.handle)
		for i := range 12 {
			for range 20 {
				r.put("a", "b", "c")
			}
			time.Sleep(time.Duration(50+i*17) * time.Millisecond)
			srv.Down()
			time.Sleep(time.Duration(i*i) * time.Second)
			srv.Up()
			until(t, "connected", r.nc.IsConnected)
		}
		until(t, "all", func() bool { return len(w.did()) >= 720 })
		time.Sleep(5 * time.Minute) // nothing comes again
		for _, room := range []string{"a", "b", "c"} {
			if got := w.inOrder(room); got != chain(room, 240) {
				t.Errorf("done %s", got)
			}
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
		if p, left := r.pending(); p != 0 || left != 0 {
			t.Errorf("%d not acknowledged, %d left", p, left)
		}
	})
}

// When it is told to stop, the handler at work ends and is acknowledged, and
// nothing else is: the next subscriber has it at once.
func TestStop(t *testing.T) {
	natstest.Run(t, func(t *testing.T, srv *natstest.Server) {
		r := newRig(t, srv)
		w := &worker{fail: func(e events.Event) error {
			time.Sleep(20 * time.Second)
			if e.Data.Room.RoomID == "b" {
				return errAgain
			}
			return nil
		}}
		stop := r.subscribe(events.Options{}, w.handle)
		r.put("a", "a", "b", "a", "b")
		time.Sleep(time.Second)
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		if got := w.did(); !slices.Equal(got, []string{"a1"}) {
			t.Errorf("done %v, want a1", got)
		}
		until(t, "the acknowledgement to be there", func() bool {
			p, left := r.pending()
			return uint64(p)+left == 4
		})
		next := &worker{}
		began := time.Now()
		stop = r.subscribe(events.Options{}, next.handle)
		until(t, "the rest", func() bool { return len(next.did()) == 4 })
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("the rest took %s", took)
		}
		if next.inOrder("a") != "a2 a3" || next.inOrder("b") != "b1 b2" {
			t.Errorf("done %v", next.did())
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// A handler that does not end gets its context cancelled after Grace.
func TestGrace(t *testing.T) {
	natstest.Run(t, func(t *testing.T, srv *natstest.Server) {
		r := newRig(t, srv)
		stop := r.subscribe(events.Options{Grace: 7 * time.Second}, func(ctx context.Context, _ events.Event) error {
			<-ctx.Done()
			return ctx.Err()
		})
		r.put("a")
		time.Sleep(time.Second)
		began := time.Now()
		if err := stop(); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took != 7*time.Second {
			t.Errorf("stopped after %s", took)
		}
	})
}

// No more than Pending events are taken while handlers are slow.
func TestBackPressure(t *testing.T) {
	natstest.Run(t, func(t *testing.T, srv *natstest.Server) {
		r := newRig(t, srv)
		var at, most atomic.Int64
		w := &worker{fail: func(events.Event) error {
			most.Store(max(most.Load(), at.Add(1)))
			defer at.Add(-1)
			time.Sleep(time.Second)
			return nil
		}}
		for i := range 100 {
			r.put(fmt.Sprintf("r%dx", i%20))
		}
		stop := r.subscribe(events.Options{Workers: 3, Pending: 10}, w.handle)
		for range 30 {
			time.Sleep(500 * time.Millisecond)
			if p, _ := r.pending(); p > 10 {
				t.Errorf("%d events are taken", p)
			}
		}
		until(t, "all", func() bool { return len(w.did()) == 100 })
		if most.Load() != 3 {
			t.Errorf("%d handlers at once, want 3", most.Load())
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// What is stored twice is handled once.
func TestDoubledEvent(t *testing.T) {
	natstest.Run(t, func(t *testing.T, srv *natstest.Server) {
		r := newRig(t, srv)
		r.put("a")
		time.Sleep(time.Hour) // the duplicate window is over
		r.seq, r.of["a"] = 0, 0
		r.put("a", "a")
		w := &worker{}
		stop := r.subscribe(events.Options{}, w.handle)
		until(t, "done", func() bool { return w.inOrder("a") == "a1 a2" })
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestSubscribeRefuses(t *testing.T) {
	natstest.Run(t, func(t *testing.T, srv *natstest.Server) {
		r := newRig(t, srv)
		r.put("a")
		nothing := func(context.Context, events.Event) error { return nil }
		ctx := t.Context()
		for what, o := range map[string]events.Options{
			"durable is":       {},
			"durable is \"a.b": {Durable: "a.b"},
			"park is":          {Durable: "d", Park: "live.parked"},
			"choose one":       {Durable: "d", OnlyNew: true, From: time.Now()},
			"stream not found": {Durable: "d", Stream: "DEAD"},
		} {
			if err := events.Subscribe(ctx, r.js, o, nothing); err == nil || !strings.Contains(err.Error(), what) {
				t.Errorf("Subscribe(%+v): %v, want %q", o, err, what)
			}
		}
		// Somebody else keeps what is not ours.
		stop := r.subscribe(events.Options{}, nothing)
		time.Sleep(time.Second)
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		other, err := r.js.Consumer(ctx, "LIVE", "test")
		if err != nil {
			t.Fatal(err)
		}
		r.put("a")
		msg, err := other.Next()
		if err != nil {
			t.Fatal(err)
		}
		held, release := context.WithCancel(ctx)
		go func() {
			for held.Err() == nil {
				_ = msg.InProgress()
				time.Sleep(time.Second)
			}
		}()
		if err := events.Subscribe(ctx, r.js, events.Options{Durable: "test"}, nothing); !errors.Is(err, events.ErrShared) {
			t.Errorf("Subscribe to what another one uses: %v", err)
		}
		release()
	})
}
