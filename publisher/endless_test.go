package publisher

import (
	"fmt"
	"iter"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"roomwatch/diff"
	"roomwatch/publisher/natsconn"
	"roomwatch/publisher/natstest"
)

// interrupted is an outbox whose first rebuild is interrupted at its first event.
type interrupted struct {
	*box
	once      sync.Once
	interrupt func()
	ended     atomic.Int64 // rebuilds that came to an end
}

func (b *interrupted) Rebuild(last diff.Event, since time.Time, events iter.Seq2[diff.Event, error]) error {
	defer b.ended.Add(1)
	return b.box.Rebuild(last, since, func(yield func(diff.Event, error) bool) {
		for e, err := range events {
			b.once.Do(b.interrupt)
			if !yield(e, err) {
				return
			}
		}
	})
}

// A rebuild whose connection is lost in the middle, and that finds no leader of
// JetStream afterwards, ends: the outbox is free, the reason is told, a stop is
// fast, and the next rebuild is whole.
func TestRebuildEndsWithoutALeader(t *testing.T) {
	for name, stopEarly := range map[string]bool{"it heals": false, "it is stopped": true} {
		t.Run(name, func(t *testing.T) {
			natstest.Run(t, func(t *testing.T, s *natstest.Server) {
				nc := s.Connect()
				stream(t, nc, nil)
				const rooms = 1500 // more than the client fetches at once
				for i := range uint64(rooms) {
					e := diff.Event{ID: eventID("E0", i+1), Seq: i + 1, Type: diff.RoomCreated, Version: 1, Time: time.Now(),
						Room: diff.Room{RoomID: fmt.Sprint("r", i), CreateTime: 1}}
					if err := nc.Publish(Subject("live", e.Type, app, e.Room.RoomID), Encode(app, e)); err != nil {
						t.Fatal(err)
					}
				}
				if err := nc.Flush(); err != nil {
					t.Fatal(err)
				}
				pass(time.Second)
				l := &natstest.Leaderless{}
				s.Tap(l.Tap)
				pub, err := natsconn.Dial(t.Context(), natsconn.Config{InProcess: s})
				if err != nil {
					t.Fatal(err)
				}
				defer pub.Close()
				b := &interrupted{box: newBox("E1")}
				b.interrupt = func() { l.Cut("CONSUMER.CREATE"); time.Sleep(5 * time.Second) }
				r := startWith(t, Config{Conn: pub, Outbox: b})
				if stopEarly {
					pass(12 * time.Second)
				} else {
					pass(2 * time.Minute)
					if b.ended.Load() == 0 || r.Status().LastError == nil {
						t.Errorf("%d rebuilds ended, last error %v", b.ended.Load(), r.Status().LastError)
					}
					l.Lose()
					pass(2 * time.Minute)
					if len(b.rooms) != rooms {
						t.Errorf("%d rooms, want %d", len(b.rooms), rooms)
					}
				}
				began := time.Now()
				if err := r.stop(); err != nil {
					t.Error(err)
				}
				if took := time.Since(began); took > 10*time.Second {
					t.Errorf("the stop took %v", took)
				}
				l.Lose()
			})
		})
	}
}
