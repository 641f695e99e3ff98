package publisher

import (
	"errors"
	"iter"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/diff"
	"roomwatch/publisher/natstest"
)

// A server can come back with less than it had acknowledged: after a power cut,
// or on files of a backup. The claim is older than what is gone, so the fence
// lets the next event pass, and only a look at the stream finds the hole.
func TestServerComesBackWithLess(t *testing.T) {
	for _, when := range []string{"while it is away", "afterwards"} {
		t.Run("events "+when, func(t *testing.T) {
			bubble(t, func(t *testing.T, s *natstest.Server, nc *nats.Conn, b *box) {
				r := start(t, nc, b)
				b.add(3)
				pass(time.Second)
				s.Down()
				s.Keep()
				s.Up()
				pass(time.Minute)
				b.add(3)
				pass(time.Second)
				wantEvents(t, nc, 1, 6)
				s.Down()
				s.Restore()
				want := []string{"E1 1 3"} // what waits is judged anew by the next sweep, with what is lost
				if when == "while it is away" {
					b.add(2)
				}
				s.Up()
				pass(time.Minute)
				if when == "afterwards" {
					b.add(2)
					want = append(want, "E1+1 1 2") // no number is given twice, though 4 and 5 are lost
				}
				pass(time.Minute)
				if err := r.Status().LastError; err != nil {
					t.Error(err)
				}
				if b.rebuilds != 1 {
					t.Errorf("%d rebuilds, want 1", b.rebuilds)
				}
				wantIDs(t, nc, want...)
			})
		})
	}
}

// The same, where the copy has the claim that is in force, and the server is
// exchanged while the next batch is made: nothing but a look at the connection
// keeps that batch from being stored behind the hole.
func TestServerComesBackWithLessWhileABatchIsMade(t *testing.T) {
	bubble(t, func(t *testing.T, s *natstest.Server, nc *nats.Conn, _ *box) {
		b := &slowBox{box: newBox("E1")}
		r := start(t, nc, b)
		b.add(3)
		pass(time.Minute)
		s.Keep()
		b.add(3)
		pass(time.Minute)
		wantEvents(t, nc, 1, 6)
		exchange := func() {
			before := nc.Stats().Reconnects
			s.Down()
			s.Restore()
			s.Up()
			for nc.Stats().Reconnects == before || !nc.IsConnected() {
				time.Sleep(10 * time.Millisecond)
			}
		}
		b.before.Store(&exchange)
		b.add(1)
		pass(time.Minute)
		if err := r.Status().LastError; err != nil || b.rebuilds != 1 {
			t.Errorf("%d rebuilds, last error %v", b.rebuilds, err)
		}
		b.add(2)
		pass(time.Minute)
		wantIDs(t, nc, "E1 1 3", "E1+1 1 2")
	})
}

// A slowBox does something before it next hands out events.
type slowBox struct {
	*box
	before atomic.Pointer[func()]
}

func (b *slowBox) Events(after uint64, limit int) ([]diff.Event, error) {
	events, err := b.box.Events(after, limit)
	if do := b.before.Swap(nil); do != nil {
		(*do)()
	}
	return events, err
}

// Each reconnect asks the stream; a connection that stays asks it once.
func TestClaimsPerConnection(t *testing.T) {
	bubble(t, func(t *testing.T, s *natstest.Server, nc *nats.Conn, b *box) {
		start(t, nc, b)
		for range 3 {
			b.add(10)
			pass(time.Hour)
			s.Down()
			pass(time.Minute)
			s.Up()
		}
		pass(time.Minute)
		info, err := stream(t, nc, nil).Info(t.Context(), jetstream.WithSubjectFilter("live.writer.>"))
		if err != nil {
			t.Fatal(err)
		}
		if n := info.State.Subjects[claimSubject("live", app)]; n != 4 {
			t.Errorf("%d claims, want 4", n)
		}
		wantEvents(t, nc, 1, 30)
	})
}

// An event of another room's subject is none of ours, wherever it is found.
func TestEventOnAForeignSubject(t *testing.T) {
	bubble(t, func(t *testing.T, _ *natstest.Server, nc *nats.Conn, _ *box) {
		b := storedFirst(t, nc, 3)
		body := Encode(app, diff.Event{ID: eventID("E1", 9), Seq: 9, Type: diff.RoomEnded, Version: 9, Room: diff.Room{RoomID: "room1"}, Time: time.Now()})
		send(t, nc, "live.room.ended.88888888.room7", body)
		b.add(1)
		r := start(t, nc, b)
		pass(time.Minute)
		if err := r.Status().LastError; err == nil || !strings.Contains(err.Error(), "does not belong on live.room.ended.88888888.room7") {
			t.Errorf("last error %v", err)
		}
		if _, stored, _ := b.Position(); stored != 3 {
			t.Errorf("stored %d", stored)
		}
	})
}

// A brokenBox is an outbox whose file cannot be used for a while.
type brokenBox struct {
	*box
	events, stored, rebuild atomic.Bool
}

var errDisk = errors.New("no space left on device")

func (b *brokenBox) Events(after uint64, limit int) ([]diff.Event, error) {
	if b.events.Load() {
		return nil, errDisk
	}
	return b.box.Events(after, limit)
}

func (b *brokenBox) Stored(seq uint64) error {
	if b.stored.Load() {
		return errDisk
	}
	return b.box.Stored(seq)
}

func (b *brokenBox) Rebuild(last diff.Event, since time.Time, events iter.Seq2[diff.Event, error]) error {
	if b.rebuild.Load() {
		for _, err := range events {
			return errors.Join(errDisk, err) // in the middle
		}
	}
	return b.box.Rebuild(last, since, events)
}

// What the outbox cannot do now is retried, and nothing is sent twice.
func TestOutboxFails(t *testing.T) {
	tests := []struct {
		name string
		fail func(b *brokenBox) *atomic.Bool
	}{
		{name: "Events", fail: func(b *brokenBox) *atomic.Bool { return &b.events }},
		{name: "Stored", fail: func(b *brokenBox) *atomic.Bool { return &b.stored }},
		{name: "Rebuild", fail: func(b *brokenBox) *atomic.Bool { return &b.rebuild }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, _ *natstest.Server, nc *nats.Conn, _ *box) {
				b := &brokenBox{box: storedFirst(t, nc, 3)}
				if tt.name == "Rebuild" {
					b.box = newBox("E2")
				}
				tt.fail(b).Store(true)
				b.add(5)
				r := start(t, nc, b)
				pass(time.Hour)
				if err := r.Status().LastError; !errors.Is(err, errDisk) {
					t.Errorf("last error %v", err)
				}
				tt.fail(b).Store(false)
				pass(time.Minute)
				if err := r.Status().LastError; err != nil {
					t.Error(err)
				}
				last := uint64(8)
				if tt.name == "Rebuild" {
					last = 3
				}
				wantEvents(t, nc, 1, last)
			})
		})
	}
}

// After a day without trouble the first failure is a first failure again, also
// if there was nothing to publish on that day.
func TestTroubleIsForgotten(t *testing.T) {
	bubble(t, func(t *testing.T, _ *natstest.Server, nc *nats.Conn, _ *box) {
		b := &brokenBox{box: newBox("E1")}
		b.events.Store(true)
		start(t, nc, b)
		pass(time.Hour)
		b.events.Store(false)
		pass(24 * time.Hour)
		b.events.Store(true)
		b.add(1)
		pass(500 * time.Millisecond)
		b.events.Store(false)
		pass(2 * time.Second)
		wantEvents(t, nc, 1, 1)
	})
}

// Run ends when it is told to, whatever it waits for.
func TestRunEnds(t *testing.T) {
	tests := []struct {
		name string
		do   func(t *testing.T, s *natstest.Server, nc *nats.Conn, c *cut, b *box)
	}{
		{name: "idle", do: func(*testing.T, *natstest.Server, *nats.Conn, *cut, *box) {}},
		{name: "server away", do: func(_ *testing.T, s *natstest.Server, _ *nats.Conn, _ *cut, b *box) { s.Down(); b.add(1) }},
		{name: "answer awaited", do: func(_ *testing.T, _ *natstest.Server, _ *nats.Conn, c *cut, b *box) { c.answers.Store(true); b.add(9) }},
		{name: "stream full", do: func(t *testing.T, _ *natstest.Server, nc *nats.Conn, _ *cut, b *box) {
			stream(t, nc, func(c *jetstream.StreamConfig) { c.MaxMsgs, c.Discard = 1, jetstream.DiscardNew })
			b.add(9)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			natstest.Run(t, func(t *testing.T, s *natstest.Server) {
				witness := s.Connect()
				var c cut
				s.Tap(c.tap)
				b := newBox("E1")
				r := start(t, s.Connect(), b)
				pass(time.Second)
				tt.do(t, s, witness, &c, b)
				time.Sleep(100 * time.Millisecond)
				began := time.Now()
				if err := r.stop(); err != nil {
					t.Error(err)
				}
				if took := time.Since(began); took > requestTimeout {
					t.Errorf("Run ended after %v", took)
				}
				c.heal()
			})
		})
	}
}
