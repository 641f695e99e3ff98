package publisher

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/publisher/natstest"
)

// removeLast removes the last event of the stream.
func removeLast(t *testing.T, nc *nats.Conn) {
	t.Helper()
	s := stream(t, nc, nil)
	m, err := s.GetLastMsgForSubject(t.Context(), Filter("live", "", app, ""))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteMsg(t.Context(), m.Sequence); err != nil {
		t.Fatal(err)
	}
}

// runFor lets a publisher run on an outbox for a second.
func runFor(t *testing.T, nc *nats.Conn, b *box) *run {
	t.Helper()
	r := start(t, nc, b)
	pass(time.Second)
	if err := r.Status().LastError; err != nil {
		t.Errorf("%v\n%s", err, r.log)
	}
	if err := r.stop(); err != nil {
		t.Error(err)
	}
	return r
}

// Two copies of a state, and a stream that has lost its last event: the copy that
// ran gave its number to another one. Whoever stored the first is not at one with
// that stream, also where the number is the last one that it has stored, or the one
// that its epoch follows.
func TestNumberOfAnotherEvent(t *testing.T) {
	for name, follows := range map[string]bool{"stored": false, "followed": true} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, _ *natstest.Server, nc *nats.Conn, b *box) {
				b.add(2)
				runFor(t, nc, b)
				old := newBox("E1")
				old.assigned, old.stored, old.last = b.assigned, b.stored, b.last
				b.add(1)
				runFor(t, nc, b)
				if follows {
					b = newBox("E2")
					runFor(t, nc, b)
				}
				removeLast(t, nc)
				pass(10 * time.Minute) // the server has forgotten the id
				old.addRoom("another", "name")
				runFor(t, nc, old)
				wantIDs(t, nc, "E1 1 3")
				before := b.rebuilds
				runFor(t, nc, b)
				if b.rebuilds != before+1 || b.follows != eventID("E1", 3) {
					t.Errorf("%d rebuilds, want %d", b.rebuilds, before+1)
				}
				if _, ok := b.rooms["another"]; !ok {
					t.Error("the room of the stream's last event is not known")
				}
			})
		})
	}
}

// An event was stored, its acknowledgement was lost in a crash, and then it was
// removed. The server remembers its id, so it is stored under another one, at once.
func TestRememberedID(t *testing.T) {
	for name, remove := range map[string]func(*testing.T, *nats.Conn){
		"the last one": removeLast,
		"all": func(t *testing.T, nc *nats.Conn) {
			if err := stream(t, nc, nil).Purge(t.Context(), jetstream.WithPurgeSubject(Filter("live", "", app, ""))); err != nil {
				t.Fatal(err)
			}
		},
	} {
		for _, more := range []int{0, 5} {
			t.Run(name+", more: "+strconv.Itoa(more), func(t *testing.T) {
				bubble(t, func(t *testing.T, _ *natstest.Server, nc *nats.Conn, b *box) {
					b.add(2)
					runFor(t, nc, b)
					stored, last := b.stored, b.last
					b.add(1)
					lost := slices.Clone(b.events)
					runFor(t, nc, b)
					b.stored, b.last, b.events = stored, last, lost
					remove(t, nc)
					b.add(more)
					r := runFor(t, nc, b)
					parts := []string{"E1 1 2", "E1/1 1 " + string(rune('1'+more))}
					if name == "all" {
						parts = parts[1:]
					}
					wantIDs(t, nc, parts...)
					if b.rebuilds > 0 {
						t.Errorf("rebuilt:\n%s", r.log)
					}
					runFor(t, nc, b)
					wantIDs(t, nc, parts...)
				})
			})
		}
	}
}
