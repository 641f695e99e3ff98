package publisher

import (
	"bytes"
	"fmt"
	"iter"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"roomwatch/diff"
	"roomwatch/publisher/natstest"
)

// leaderless loses the requests that make a consumer, as a JetStream without a
// leader does, and can cut its connections.
type leaderless struct {
	mute  atomic.Bool
	mu    sync.Mutex
	conns []net.Conn
}

func (l *leaderless) tap(conn net.Conn) (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conns = append(l.conns, conn)
	return &leaderlessConn{conn, l}, nil
}

func (l *leaderless) cut() {
	l.mute.Store(true)
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.conns {
		_ = c.Close()
	}
	l.conns = nil
}

type leaderlessConn struct {
	net.Conn
	l *leaderless
}

func (c *leaderlessConn) Write(b []byte) (int, error) {
	if c.l.mute.Load() && bytes.Contains(b, []byte("CONSUMER.CREATE")) {
		return len(b), nil
	}
	return c.Conn.Write(b)
}

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
				l := &leaderless{}
				s.Tap(l.tap)
				pub, err := Dial(t.Context(), ConnectConfig{InProcess: s})
				if err != nil {
					t.Fatal(err)
				}
				defer pub.Close()
				b := &interrupted{box: newBox("E1")}
				b.interrupt = func() { l.cut(); time.Sleep(5 * time.Second) }
				r := start(t, pub, b)
				if stopEarly {
					pass(12 * time.Second)
				} else {
					pass(2 * time.Minute)
					if b.ended.Load() == 0 || r.Status().LastError == nil {
						t.Errorf("%d rebuilds ended, last error %v", b.ended.Load(), r.Status().LastError)
					}
					l.mute.Store(false)
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
				l.mute.Store(false)
			})
		})
	}
}
