package publisher

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/diff"
	"roomwatch/publisher/natsconn"
	"roomwatch/publisher/natstest"
)

func (b *box) Follow(events []diff.Event, at uint64, made time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stored != b.assigned {
		return diff.ErrGap
	}
	for _, e := range events {
		epoch, _, _ := strings.Cut(e.ID, "-")
		switch {
		case epoch == b.epoch && e.Seq <= b.assigned:
			continue
		case epoch == b.epoch && e.Seq == b.assigned+1, b.assigned == 0 && b.follows == eventID(epoch, e.Seq-1), epoch != b.epoch && e.Seq == 1:
		default:
			return fmt.Errorf("%s after %s-%d: %w", e.ID, b.epoch, b.assigned, diff.ErrGap)
		}
		b.epoch, b.follows, b.assigned, b.stored, b.last = epoch, "", e.Seq, e.Seq, &e
		if b.rooms == nil {
			b.rooms = map[string]diff.Event{}
		}
		if delete(b.rooms, e.Room.RoomID); e.Type != diff.RoomEnded {
			b.rooms[e.Room.RoomID] = e
		}
	}
	b.at, b.made = at, made.UTC()
	return nil
}

func (b *box) Followed() (uint64, time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.at, b.made
}

// standBy has another publisher follow the stream into a box until stop.
func standBy(t *testing.T, s *natstest.Server, b *box) (p *Publisher, stop func()) {
	t.Helper()
	p, err := New(Config{Conn: natsconn.Of(s.Connect()), Outbox: b, Stream: live, SDKAppID: app})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.Follow(ctx)
	}()
	return p, func() { cancel(); <-done }
}

// same fails unless the box knows the newest event of each of ten rooms, up to a number.
func same(t *testing.T, b *box, epoch string, last uint64) {
	t.Helper()
	want := map[string]uint64{}
	for seq := uint64(1); seq <= last; seq++ {
		want[fmt.Sprintf("room%d", (seq-1)%10)] = seq
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	got := map[string]uint64{}
	for room, e := range b.rooms {
		got[room] = e.Seq
	}
	if !maps.Equal(got, want) {
		t.Errorf("rooms %v, want %v", got, want)
	}
	if b.epoch != epoch || b.assigned != last {
		t.Errorf("the standby is at %s-%d, want %s-%d", b.epoch, b.assigned, epoch, last)
	}
}

// A standby begins with the last event of each room, takes over what comes, and goes on
// with the numbers when it becomes the writer: nothing is rebuilt then.
func TestStandbyGoesOn(t *testing.T) {
	natstest.Run(t, func(t *testing.T, s *natstest.Server) {
		first := newBox("E1")
		w := start(t, s.Connect(), first)
		first.add(25)
		pass(time.Second)
		second := newBox("E2")
		p, stop := standBy(t, s, second)
		pass(5 * time.Second)
		if f := p.Status().Following; !f.CaughtUp || f.Behind != 0 || f.Since.IsZero() {
			t.Errorf("following: %+v", f)
		}
		if who := p.Status().Writer; who.Instance != w.Instance() {
			t.Errorf("it takes %+v for the writer", who)
		}
		first.add(1500)
		pass(5 * time.Second)
		same(t, second, "E1", 1525)
		if second.rebuilds != 1 {
			t.Errorf("%d rebuilds", second.rebuilds)
		}
		// What is stored while nobody follows is taken over when it claims.
		stop()
		first.add(7)
		pass(time.Second)
		if err := w.stop(); err != nil {
			t.Fatal(err)
		}
		now := start(t, s.Connect(), second)
		pass(time.Second)
		same(t, second, "E1", 1532)
		second.add(3)
		pass(time.Second)
		if err := now.stop(); err != nil {
			t.Fatal(err)
		}
		if second.rebuilds != 1 {
			t.Errorf("%d rebuilds after the takeover", second.rebuilds)
		}
		wantEvents(t, s.Connect(), 1, 1535)
	})
}

// A standby whose connection the client has closed for good has another one.
func TestStandbyConnectsAgain(t *testing.T) {
	s := natstest.Start(t, nil)
	conn, err := natsconn.Connect(t.Context(), natsconn.Config{URL: s.ClientURL()})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	near, err := nats.Connect(s.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	defer near.Close()
	first := newBox("E1")
	w := start(t, near, first)
	first.add(5)
	<-w.Recovered()
	p, err := New(Config{Conn: conn, Outbox: newBox("E2"), Stream: live, SDKAppID: app})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.Follow(ctx)
	}()
	defer func() { cancel(); <-done }()
	caughtUp := func(what string) {
		t.Helper()
		for end := time.Now().Add(20 * time.Second); !p.Status().Following.CaughtUp || !conn.IsConnected(); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: %+v", what, p.Status())
			}
		}
	}
	caughtUp("at first")
	conn.Client().Close()
	caughtUp("after its connection was closed")
}

// A standby that was away for longer than the stream keeps events begins anew.
func TestStandbyWithAGap(t *testing.T) {
	natstest.Run(t, func(t *testing.T, s *natstest.Server) {
		first := newBox("E1")
		w := start(t, s.Connect(), first)
		first.add(10)
		pass(time.Second)
		second := newBox("E2")
		_, stop := standBy(t, s, second)
		pass(5 * time.Second)
		stop()
		first.add(20)
		pass(time.Second)
		stream, err := w.js.Stream(t.Context(), live.Name)
		if err != nil {
			t.Fatal(err)
		}
		if err := stream.Purge(t.Context(), jetstream.WithPurgeSequence(20)); err != nil {
			t.Fatal(err)
		}
		_, stop = standBy(t, s, second)
		pass(5 * time.Second)
		if second.rebuilds != 2 {
			t.Errorf("%d rebuilds", second.rebuilds)
		}
		first.add(5)
		pass(5 * time.Second)
		stop()
		same(t, second, "E1", 35)
	})
}

// A stream that is removed under the writer has its newest events alone. The standby knows
// the rooms that it lacks, and keeps them, unless an event was lost with the stream.
func TestStandbyKeepsRoomsOfALostStream(t *testing.T) {
	for name, lost := range map[string]int{"no event lost": 0, "an event lost": 1} {
		t.Run(name, func(t *testing.T) {
			natstest.Run(t, func(t *testing.T, s *natstest.Server) {
				first := newBox("E1")
				w := start(t, s.Connect(), first)
				first.add(10)
				pass(time.Second)
				second := newBox("E2")
				_, stop := standBy(t, s, second)
				pass(5 * time.Second)
				if lost > 0 {
					stop()
					first.add(lost)
					pass(time.Second)
				}
				if err := w.js.DeleteStream(t.Context(), live.Name); err != nil {
					t.Fatal(err)
				}
				first.add(3)
				pass(30 * time.Second)
				if lost > 0 {
					_, stop = standBy(t, s, second)
					pass(5 * time.Second)
				}
				stop()
				second.mu.Lock()
				rooms, rebuilds := len(second.rooms), second.rebuilds
				second.mu.Unlock()
				if wantRooms := 10 - 7*lost; rooms != wantRooms || rebuilds != 1+lost {
					t.Errorf("%d rooms and %d rebuilds, want %d and %d", rooms, rebuilds, wantRooms, 1+lost)
				}
			})
		})
	}
}

// A writer that was fenced lets go of what it has not stored.
func TestStandbyLetsGo(t *testing.T) {
	natstest.Run(t, func(t *testing.T, s *natstest.Server) {
		first := newBox("E1")
		w := start(t, s.Connect(), first)
		first.add(10)
		pass(time.Second)
		if err := w.stop(); err != nil {
			t.Fatal(err)
		}
		first.add(3) // nobody will hear of them
		second := newBox("E2")
		other := start(t, s.Connect(), second)
		pass(time.Second)
		_, stop := standBy(t, s, first)
		pass(5 * time.Second)
		second.add(10)
		pass(5 * time.Second)
		stop()
		if err := other.stop(); err != nil {
			t.Fatal(err)
		}
		same(t, first, second.epoch, 10)
	})
}

// A claim never goes below the term of the newest one.
func TestClaimOfALowerTerm(t *testing.T) {
	natstest.Run(t, func(t *testing.T, s *natstest.Server) {
		high := newBox("E1")
		w := startTerm(t, Config{Conn: natsconn.Of(s.Connect()), Outbox: high}, 7)
		pass(time.Second)
		low := startTerm(t, Config{Conn: natsconn.Of(s.Connect()), Outbox: newBox("E2")}, 6)
		low.wantEnd(t)
		if by := FencedBy(low.err); by.Term != 7 || by.Instance != w.Instance() {
			t.Errorf("ended with %v, fenced by %+v", low.err, by)
		}
		high.add(1)
		pass(time.Second)
		if err := w.stop(); err != nil {
			t.Errorf("the rightful writer ended with %v", err)
		}
		wantEvents(t, s.Connect(), 1, 1)
	})
}
