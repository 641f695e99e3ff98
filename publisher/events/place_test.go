package events_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/diff/logtest"
	"roomwatch/publisher/events"
	"roomwatch/publisher/natstest"
)

// A memory is a place.
type memory struct {
	mu sync.Mutex
	p  events.Position
}

func (m *memory) Load(context.Context) (events.Position, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.p, nil
}

func (m *memory) Save(_ context.Context, p events.Position) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.p = p
	return nil
}

// A durable that is removed while a subscriber runs is recreated where it was:
// nothing is missed and nothing handled twice.
func TestDurableRemovedWhileRunning(t *testing.T) {
	for name, o := range map[string]events.Options{"new": {OnlyNew: true}, "all": {}} {
		t.Run(name, func(t *testing.T) {
			natstest.Run(t, func(t *testing.T, srv *natstest.Server) {
				r, w := newRig(t, srv), &worker{}
				stop := r.subscribe(o, w.handle)
				time.Sleep(time.Second)
				r.put("a", "a", "b")
				time.Sleep(time.Minute)
				if err := r.js.DeleteConsumer(r.t.Context(), "LIVE", "test"); err != nil {
					t.Fatal(err)
				}
				r.put("a", "b")
				time.Sleep(time.Minute)
				if got := w.inOrder("a") + ", " + w.inOrder("b"); got != "a1 a2 a3, b1 b2" {
					t.Errorf("handled %s", got)
				}
				if err := stop(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// The same between two subscribers, where the first left its place; without one
// the second begins as a new one.
func TestDurableRemovedBetween(t *testing.T) {
	for name, tt := range map[string]struct {
		o    events.Options
		want string
	}{
		"a place":  {events.Options{OnlyNew: true, Place: &memory{}}, "a1 a2 a3 a4"},
		"no place": {events.Options{OnlyNew: true}, "a1 a2 a4"},
	} {
		t.Run(name, func(t *testing.T) {
			natstest.Run(t, func(t *testing.T, srv *natstest.Server) {
				r, w := newRig(t, srv), &worker{}
				r.put("old")
				stop := r.subscribe(tt.o, w.handle)
				time.Sleep(time.Second)
				r.put("a", "a")
				time.Sleep(time.Second)
				if err := stop(); err != nil {
					t.Error(err)
				}
				if err := r.js.DeleteConsumer(r.t.Context(), "LIVE", "test"); err != nil {
					t.Fatal(err)
				}
				r.put("a")
				stop = r.subscribe(tt.o, w.handle)
				time.Sleep(time.Second)
				r.put("a")
				time.Sleep(time.Second)
				if got := w.inOrder("a"); got != tt.want || len(w.inOrder("old")) > 0 {
					t.Errorf("handled %v", w.did())
				}
				if err := stop(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// A place that was left before anything came is one.
func TestPlaceBeforeTheFirstEvent(t *testing.T) {
	natstest.Run(t, func(t *testing.T, srv *natstest.Server) {
		r, w, place := newRig(t, srv), &worker{}, &memory{}
		r.put("old")
		stop := r.subscribe(events.Options{OnlyNew: true, Place: place}, w.handle)
		time.Sleep(time.Second)
		if err := stop(); err != nil {
			t.Error(err)
		}
		if err := r.js.DeleteConsumer(r.t.Context(), "LIVE", "test"); err != nil {
			t.Fatal(err)
		}
		r.put("a")
		stop = r.subscribe(events.Options{OnlyNew: true, Place: place}, w.handle)
		time.Sleep(time.Second)
		if got := strings.Join(w.did(), " "); got != "a1" {
			t.Errorf("handled %s", got)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// A stream that was recreated is read from its first message, and what is gone is
// told of, be it recreated while the subscriber runs or before the next one.
func TestStreamMadeAnew(t *testing.T) {
	for name, between := range map[string]bool{"while running": false, "between": true} {
		t.Run(name, func(t *testing.T) {
			natstest.Run(t, func(t *testing.T, srv *natstest.Server) {
				r, w := newRig(t, srv), &worker{}
				log, logged := logger()
				o := events.Options{OnlyNew: true, Place: &memory{}, Log: log}
				stop := r.subscribe(o, w.handle)
				time.Sleep(time.Second)
				r.put("a", "a", "a")
				time.Sleep(10 * time.Second)
				if between {
					if err := stop(); err != nil {
						t.Error(err)
					}
				}
				if err := r.js.DeleteStream(r.t.Context(), "LIVE"); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute)
				r.makeStream("LIVE", "live.>")
				r.put("a", "a")
				if between {
					stop = r.subscribe(o, w.handle)
				}
				time.Sleep(time.Minute)
				r.put("a")
				time.Sleep(time.Minute)
				if got := w.inOrder("a"); got != "a1 a2 a3 a4 a5 a6" {
					t.Errorf("handled %s", got)
				}
				if got := logged(); !strings.Contains(got, "stream was recreated") {
					t.Errorf("nothing says so:\n%s", got)
				}
				if err := stop(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// What a stream no longer has is reported.
func TestPlaceIsNoLongerInTheStream(t *testing.T) {
	natstest.Run(t, func(t *testing.T, srv *natstest.Server) {
		r, w := newRig(t, srv), &worker{}
		log, logged := logger()
		o := events.Options{OnlyNew: true, Place: &memory{}, Log: log}
		stop := r.subscribe(o, w.handle)
		time.Sleep(time.Second)
		r.put("a")
		time.Sleep(time.Second)
		if err := stop(); err != nil {
			t.Error(err)
		}
		if err := r.js.DeleteConsumer(r.t.Context(), "LIVE", "test"); err != nil {
			t.Fatal(err)
		}
		r.put("a", "a", "a")
		s, err := r.js.Stream(r.t.Context(), "LIVE")
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Purge(r.t.Context(), jetstream.WithPurgeSequence(4)); err != nil {
			t.Fatal(err)
		}
		stop = r.subscribe(o, w.handle)
		time.Sleep(time.Second)
		synctest.Wait()
		if got := w.inOrder("a"); got != "a1 a4" {
			t.Errorf("handled %s", got)
		}
		if got := logged(); !strings.Contains(got, "max_missing=2") {
			t.Errorf("nothing says what is gone:\n%s", got)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// logger returns a log and what it has.
func logger() (*slog.Logger, func() string) {
	b := &logtest.Buffer{}
	return slog.New(slog.NewTextHandler(b, nil)), b.String
}

// A handler that fails for long, and a message that is no event, of a stream that
// was recreated hold up no other room, and are not mistaken for messages of the new
// one that have their numbers.
func TestHandlersAtWorkWhenTheStreamIsMadeAnew(t *testing.T) {
	natstest.Run(t, func(t *testing.T, srv *natstest.Server) {
		r := newRig(t, srv)
		var oldGoesOn, newGoesOn atomic.Bool
		w := &worker{fail: func(e events.Event) error {
			if n := name(e); n == "a1" && !oldGoesOn.Load() || n == "b1" && !newGoesOn.Load() {
				return errAgain
			}
			return nil
		}}
		stop := r.subscribe(events.Options{}, w.handle)
		r.put("a")
		r.publish(events.Message{Subject: "live.room.created.88888888.d", ID: "x", Body: []byte("hello")})
		time.Sleep(10 * time.Second)
		if err := r.js.DeleteStream(t.Context(), "LIVE"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		r.makeStream("LIVE", "live.>")
		r.put("b", "d")
		time.Sleep(time.Minute)
		if got := strings.Join(w.did(), " "); got != "d1" {
			t.Errorf("handled %q, want d1", got)
		}
		oldGoesOn.Store(true)
		time.Sleep(time.Minute)
		if p, left := r.pending(); strings.Join(w.did(), " ") != "d1 a1" || p != 1 || left != 0 {
			t.Errorf("handled %v; %d are not acknowledged, want that of room b", w.did(), p)
		}
		newGoesOn.Store(true)
		time.Sleep(time.Minute)
		if p, _ := r.pending(); strings.Join(w.did(), " ") != "d1 a1 b1" || p != 0 {
			t.Errorf("handled %v; %d are not acknowledged", w.did(), p)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// A place that cannot be read for a while, because the stream in which it is
// kept is gone, is not mistaken for the stream of the events.
func TestPlaceThatCannotBeRead(t *testing.T) {
	natstest.Run(t, func(t *testing.T, srv *natstest.Server) {
		r, w, place := newRig(t, srv), &worker{}, &brokenPlace{err: fmt.Errorf("read it: %w", jetstream.ErrStreamNotFound)}
		log, logged := logger()
		stop := r.subscribe(events.Options{Place: place, Log: log}, w.handle)
		r.put("a")
		time.Sleep(time.Minute)
		if got := logged(); len(w.did()) != 0 || strings.Count(got, "level=ERROR") != 1 || !strings.Contains(got, "position of the subscriber cannot be read") {
			t.Errorf("handled %v; the log says:\n%s", w.did(), got)
		}
		place.mu.Lock()
		place.err = nil
		place.mu.Unlock()
		until(t, "the event", func() bool { return len(w.did()) == 1 })
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

type brokenPlace struct {
	memory
	err error
}

func (b *brokenPlace) Load(ctx context.Context) (events.Position, error) {
	b.mu.Lock()
	err := b.err
	b.mu.Unlock()
	if err != nil {
		return events.Position{}, err
	}
	return b.memory.Load(ctx)
}

// A stream that is removed under a subscriber is reported with the fix.
func TestStreamRemovedIsAnError(t *testing.T) {
	natstest.Run(t, func(t *testing.T, srv *natstest.Server) {
		r, w := newRig(t, srv), &worker{}
		log, logged := logger()
		stop := r.subscribe(events.Options{Log: log}, w.handle)
		r.put("a")
		time.Sleep(10 * time.Second)
		if err := r.js.DeleteStream(t.Context(), "LIVE"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if got := logged(); strings.Count(got, `level=ERROR msg="event stream was removed" stream=LIVE durable=test fix=`) != 1 {
			t.Errorf("the log says:\n%s", got)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}
