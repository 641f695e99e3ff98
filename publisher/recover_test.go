package publisher

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/diff"
	"roomwatch/publisher/natstest"
)

// storedFirst makes a stream with the events 1 … n of epoch E1 by a writer that has stopped.
func storedFirst(t *testing.T, nc *nats.Conn, n int) *box {
	t.Helper()
	b := newBox("E1")
	b.add(n)
	r := start(t, nc, b)
	pass(time.Second)
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	wantEvents(t, nc, 1, uint64(n))
	return b
}

// wind sets the numbers of an outbox, with events for what is not stored.
func wind(epoch string, stored, assigned uint64) *box {
	b := newBox(epoch)
	b.stored, b.assigned = stored, stored
	b.add(int(assigned - stored))
	return b
}

func TestRecover(t *testing.T) {
	tests := []struct {
		name     string
		has      int // events of E1 that the stream has
		epoch    string
		stored   uint64
		assigned uint64
		rebuilds int
		last     uint64 // that the stream has afterwards
	}{
		{name: "both empty", epoch: "E1", last: 0},
		{name: "nothing in the stream yet", epoch: "E1", assigned: 3, last: 3},
		{name: "all stored", has: 3, epoch: "E1", stored: 3, assigned: 3, last: 3},
		{name: "all to be sent", has: 3, epoch: "E1", stored: 3, assigned: 5, last: 5},
		{name: "another epoch", has: 3, epoch: "E2", stored: 3, assigned: 5, rebuilds: 1, last: 3},
		{name: "new state", has: 3, epoch: "E2", rebuilds: 1, last: 3},
		{name: "the stream lacks what was stored", has: 3, epoch: "E1", stored: 4, assigned: 5, rebuilds: 1, last: 3},
		{name: "the stream has what was never given", has: 3, epoch: "E1", stored: 1, assigned: 2, rebuilds: 1, last: 3},
		{name: "old copy that ran while NATS was away", has: 3, epoch: "E1", stored: 1, assigned: 5, rebuilds: 1, last: 3},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			natstest.Run(t, func(t *testing.T, s *natstest.Server) {
				nc := s.Connect()
				stream(t, nc, nil)
				if tt.has > 0 {
					storedFirst(t, nc, tt.has)
				}
				b := wind(tt.epoch, tt.stored, tt.assigned)
				r := start(t, nc, b)
				pass(time.Second)
				if err := r.Status().LastError; err != nil || !r.hasRecovered() {
					t.Error(err)
				}
				if b.rebuilds != tt.rebuilds {
					t.Errorf("%d rebuilds, want %d\n%s", b.rebuilds, tt.rebuilds, r.log)
				}
				wantEvents(t, nc, 1, tt.last)
			})
		})
	}
}

// An ack that a crash has lost: the outbox has the event, and so has the stream.
func TestRecoverLostAck(t *testing.T) {
	bubble(t, func(t *testing.T, _ *natstest.Server, nc *nats.Conn, b *box) {
		b.add(5)
		kept := append([]diff.Event(nil), b.events...)
		r := start(t, nc, b)
		pass(time.Second)
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		b.stored, b.events = 2, kept[2:]
		start(t, nc, b)
		b.add(1)
		pass(time.Second)
		if b.rebuilds > 0 {
			t.Error("rebuilt")
		}
		wantEvents(t, nc, 1, 6)
	})
}

// send publishes an event, or a body that is none, as another program could.
func send(t *testing.T, nc *nats.Conn, subject string, body []byte) {
	t.Helper()
	if _, err := nc.Request(subject, body, time.Second); err != nil {
		t.Fatal(err)
	}
}

func TestRebuild(t *testing.T) {
	bubble(t, func(t *testing.T, _ *natstest.Server, nc *nats.Conn, b *box) {
		stream(t, nc, nil)
		var seq uint64
		event := func(eventType diff.Type, room string, life int64) {
			seq++
			body := Encode(app, diff.Event{
				ID: eventID("E0", seq), Seq: seq, Type: eventType, Version: seq, Time: time.Now(),
				Room: diff.Room{RoomID: room, CreateTime: life},
			})
			send(t, nc, Subject("live", eventType, app, room), body)
		}
		event(diff.RoomCreated, "stays", 1)
		event(diff.RoomCreated, "ends", 1)
		event(diff.ViewCountChanged, "ends", 1)
		event(diff.RoomEnded, "ends", 1)
		event(diff.RoomCreated, "again", 1)
		event(diff.RoomEnded, "again", 1)
		event(diff.RoomCreated, "again", 2)
		event(diff.RoomCreated, "a.b *>%直", 1)
		send(t, nc, "live.room.created.88888888.garbage", []byte("garbage"))
		send(t, nc, "live.room.created.7.other", []byte("of another application"))
		event(diff.ViewCountChanged, "stays", 1)
		r := start(t, nc, b)
		pass(time.Second)
		if b.rebuilds != 1 || b.follows != eventID("E0", seq) || b.epoch == "E0" || b.stored != 0 {
			t.Fatalf("%d rebuilds, epoch %s follows %s, stored %d\n%s", b.rebuilds, b.epoch, b.follows, b.stored, r.log)
		}
		got := map[string]int64{}
		for room, e := range b.rooms {
			got[room] = e.Room.CreateTime
		}
		g, _ := json.Marshal(got)
		if want := `{"a.b *\u003e%直":1,"again":2,"stays":1}`; string(g) != want {
			t.Errorf("rooms %s, want %s", g, want)
		}
		if !strings.Contains(r.log.String(), "subject=live.room.created.88888888.garbage") {
			t.Errorf("no warning:\n%s", r.log)
		}
	})
}

// An epoch that a rebuild began is one with the stream until its first event is
// there, over restarts; once events of it were stored, a stream without them has lost them.
func TestRecoverAfterRebuild(t *testing.T) {
	bubble(t, func(t *testing.T, _ *natstest.Server, nc *nats.Conn, _ *box) {
		storedFirst(t, nc, 3)
		b := newBox("E2")
		restart := func(want int, parts ...string) {
			t.Helper()
			r := start(t, nc, b)
			pass(time.Second)
			if err := errors.Join(r.Status().LastError, r.stop()); err != nil {
				t.Error(err)
			}
			if b.rebuilds != want {
				t.Fatalf("%d rebuilds, want %d\n%s", b.rebuilds, want, r.log)
			}
			wantIDs(t, nc, parts...)
		}
		restart(1, "E1 1 3")
		restart(1, "E1 1 3") // nothing to send, and nothing to rebuild again
		b.add(2)
		restart(1, "E1 1 3", "E2+1 1 2")
		b.add(1)
		restart(1, "E1 1 3", "E2+1 1 3")
		if err := stream(t, nc, nil).Purge(t.Context(), jetstream.WithPurgeSubject("live.viewcount.>")); err != nil {
			t.Fatal(err)
		}
		old := newBox("E1")
		old.add(3)
		for _, e := range old.events {
			send(t, nc, Subject("live", e.Type, app, e.Room.RoomID), Encode(app, e))
		}
		b.add(1)
		r := start(t, nc, b)
		pass(time.Second)
		if b.rebuilds != 2 || b.follows != eventID("E1", 3) {
			t.Errorf("%d rebuilds, the epoch follows %s: the stream has lost what was stored\n%s", b.rebuilds, b.follows, r.log)
		}
	})
}

func TestGarbageIsLast(t *testing.T) {
	bubble(t, func(t *testing.T, _ *natstest.Server, nc *nats.Conn, _ *box) {
		b := storedFirst(t, nc, 3)
		send(t, nc, "live.room.created.88888888.garbage", []byte("garbage"))
		b.add(2)
		r := start(t, nc, b)
		pass(time.Hour)
		if err := r.Status().LastError; err == nil || !strings.Contains(err.Error(), "nats stream rmm LIVE ") {
			t.Errorf("last error %v", err)
		}
		if n := stream(t, nc, nil).CachedInfo().State.Msgs; n > 300 {
			t.Errorf("%d messages in the stream: it floods it with claims", n)
		}
		if _, stored, assigned := b.Position(); stored != 3 || assigned != 5 || r.hasRecovered() {
			t.Errorf("stored %d of %d", stored, assigned)
		}
		s := stream(t, nc, nil)
		m, err := s.GetLastMsgForSubject(t.Context(), "live.room.created.88888888.garbage")
		if err != nil {
			t.Fatal(err)
		}
		if err := s.DeleteMsg(t.Context(), m.Sequence); err != nil {
			t.Fatal(err)
		}
		pass(time.Minute)
		wantEvents(t, nc, 1, 5)
	})
}
