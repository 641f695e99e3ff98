package events_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/publisher/events"
	"roomwatch/publisher/natstest"
)

// A board is what somebody knows who follows.
type board struct {
	mu  sync.Mutex
	log []string
	now map[string]uint64 // the version of each live room
}

func (b *board) tell(c events.Change) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	text := c.Step.String()
	switch c.Step {
	case events.Begin:
		b.now = map[string]uint64{}
	case events.Listed, events.News:
		text += " " + name(c.Event)
		room := c.Event.Data.Room.RoomID
		if last, ok := b.now[room]; c.Step == events.News && c.Event.Data.Version != last+1 || c.Step == events.Listed && ok {
			text += " (does not follow)"
		}
		b.now[room] = c.Event.Data.Version
		if c.Event.Type == events.RoomEnded {
			delete(b.now, room)
		}
	}
	b.log = append(b.log, text)
	return nil
}

func (b *board) text() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Join(b.log, ", ")
}

func (b *board) version(room string) uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.now[room]
}

func (r *rig) follow(o events.Options, tell func(events.Change) error) (stop func() error) {
	ctx, cancel := context.WithCancel(r.t.Context())
	done := make(chan error, 1)
	go func() { done <- events.Follow(ctx, r.js, o, tell) }()
	return func() error {
		cancel()
		return <-done
	}
}

func TestFollow(t *testing.T) {
	tests := []struct {
		name          string
		o             events.Options
		before, after string
		want          string
	}{
		{name: "nothing yet", after: "a", want: "begin, ready, news a1"},
		{name: "the newest of each live room", before: "a b a c -b a c d", after: "d -a a", want: "begin, listed a3, listed c2, listed d1, ready, news d2, news a4, news a1"},
		{name: "a room that came back", before: "a a -a a", want: "begin, listed a1, ready"},
		{name: "some rooms", o: events.Options{Rooms: []string{"a", "c"}}, before: "a b c", after: "b a", want: "begin, listed a1, listed c1, ready, news a2"},
		{name: "news of some types", o: events.Options{Types: []events.Type{events.RoomEnded}}, before: "a b a", after: "a c -b", want: "begin, listed b1, listed a2, ready, news b2"},
		{name: "another application", o: events.Options{App: 7}, before: "a", after: "a", want: "begin, ready"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			natstest.Run(t, func(t *testing.T, srv *natstest.Server) {
				r := newRig(t, srv)
				r.put(strings.Fields(tt.before)...)
				r.publish(events.Message{Subject: "live.writer.claimed.88888888", ID: "claim", Body: []byte("{}")})
				b := &board{}
				stop := r.follow(tt.o, b.tell)
				until(t, "ready", func() bool { return strings.Contains(b.text(), "ready") })
				r.put(strings.Fields(tt.after)...)
				time.Sleep(time.Minute)
				if got := b.text(); got != tt.want {
					t.Errorf("told %s\nwant %s", got, tt.want)
				}
				if err := stop(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// However the writer's pace and the beginning of a follower fall together, and
// while NATS goes away and comes back, each room's versions follow each other.
func TestFollowHasNoGapAndNoOverlap(t *testing.T) {
	natstest.Run(t, func(t *testing.T, srv *natstest.Server) {
		r := newRig(t, srv)
		rng := rand.New(rand.NewPCG(5, 6))
		write := func(n int) {
			for range n {
				room := string(rune('a' + rng.IntN(8)))
				if r.of[room] > 3 && rng.IntN(4) == 0 {
					room = "-" + room
				}
				r.put(room)
			}
		}
		write(100)
		var boards []*board
		var stops []func() error
		for range 12 {
			b := &board{}
			boards, stops = append(boards, b), append(stops, r.follow(events.Options{}, b.tell))
			write(rng.IntN(30))
		}
		for i := range 6 {
			srv.Down()
			time.Sleep(time.Duration(i*i*i) * time.Second)
			srv.Up()
			until(t, "connected", r.nc.IsConnected)
			write(40)
		}
		r.put("z")
		for i, b := range boards {
			until(t, "the last event", func() bool { return b.version("z") == 1 })
			got := b.text()
			if strings.Contains(got, "does not follow") || strings.Count(got, "begin") != 1 || strings.Count(got, "ready") != 1 {
				t.Errorf("follower %d: %s", i, got)
			}
			for room, version := range r.of {
				if v := b.version(room); v != version {
					t.Errorf("follower %d: room %s has version %d, want %d", i, room, v, version)
				}
			}
			if err := stops[i](); err != nil {
				t.Error(err)
			}
		}
	})
}

// A gate is a server that cannot be reached while it is shut.
type gate struct {
	*natstest.Server
	shut atomic.Bool
}

func (g *gate) InProcessConn() (net.Conn, error) {
	if g.shut.Load() {
		return nil, errAgain
	}
	return g.Server.InProcessConn()
}

// Where it cannot continue, it says so and begins again.
func TestFollowBeginsAgain(t *testing.T) {
	for name, change := range map[string]func(*rig, *gate){
		"the stream was recreated": func(r *rig, _ *gate) {
			if err := r.js.DeleteStream(r.t.Context(), "LIVE"); err != nil {
				r.t.Fatal(err)
			}
			time.Sleep(time.Millisecond) // it is told apart by when it was made
			r.makeStream("LIVE", "live.>")
			r.of = map[string]uint64{}
			r.put("b", "c")
		},
		"what came next has expired while NATS was away": func(r *rig, g *gate) {
			g.shut.Store(true)
			r.srv.Down()
			r.srv.Up()
			until(r.t, "connected", r.nc.IsConnected)
			r.put("a", "a", "b", "c")
			s, err := r.js.Stream(r.t.Context(), "LIVE")
			if err != nil {
				r.t.Fatal(err)
			}
			if err := s.Purge(r.t.Context(), jetstream.WithPurgeSequence(5)); err != nil {
				r.t.Fatal(err)
			}
			g.shut.Store(false)
		},
	} {
		t.Run(name, func(t *testing.T) {
			natstest.Run(t, func(t *testing.T, srv *natstest.Server) {
				r := newRig(t, srv)
				g := &gate{Server: srv}
				nc, err := nats.Connect("", nats.InProcessServer(g), nats.MaxReconnects(-1))
				if err != nil {
					t.Fatal(err)
				}
				defer nc.Close()
				js, err := jetstream.New(nc)
				if err != nil {
					t.Fatal(err)
				}
				r.put("a", "a")
				b := &board{}
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan error, 1)
				go func() { done <- events.Follow(ctx, js, events.Options{}, b.tell) }()
				until(t, "ready", func() bool { return strings.HasSuffix(b.text(), "ready") })
				change(r, g)
				until(t, "begun again", func() bool { return b.version("c") == 1 })
				if got := b.text(); !strings.HasPrefix(got, "begin, listed a2, ready, begin, ") || strings.Contains(got, "does not follow") {
					t.Errorf("told %s", got)
				}
				cancel()
				if err := <-done; err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestFollowEnds(t *testing.T) {
	natstest.Run(t, func(t *testing.T, srv *natstest.Server) {
		r := newRig(t, srv)
		r.put("a")
		if err := events.Follow(t.Context(), r.js, events.Options{}, func(c events.Change) error {
			if c.Step == events.Listed {
				return errAgain
			}
			return nil
		}); !errors.Is(err, errAgain) {
			t.Errorf("Follow with a function that fails: %v", err)
		}
		if err := events.Follow(t.Context(), r.js, events.Options{Stream: "DEAD"}, nil); !errors.Is(err, jetstream.ErrStreamNotFound) {
			t.Errorf("Follow of no stream: %v", err)
		}
		// It leaves nothing behind.
		s, err := r.js.Stream(t.Context(), "LIVE")
		if err != nil {
			t.Fatal(err)
		}
		if n := s.CachedInfo().State.Consumers; n != 0 {
			t.Errorf("%d consumers are left", n)
		}
	})
}
