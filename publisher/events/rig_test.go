package events_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/publisher/events"
	"roomwatch/publisher/natstest"
)

// A rig is a stream, and what tests do with it.
type rig struct {
	t     *testing.T
	srv   *natstest.Server
	nc    *nats.Conn
	js    jetstream.JetStream
	seq   uint64
	epoch string            // "A" at first
	of    map[string]uint64 // versions
}

func newRig(t *testing.T, srv *natstest.Server) *rig {
	t.Helper()
	nc := srv.Connect()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, srv: srv, nc: nc, js: js, epoch: "A", of: map[string]uint64{}}
	r.makeStream("LIVE", "live.>")
	return r
}

func (r *rig) makeStream(name, subject string) jetstream.Stream {
	r.t.Helper()
	s, err := r.js.CreateStream(r.t.Context(), jetstream.StreamConfig{Name: name, Subjects: []string{subject}})
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}

// put publishes the next event of each of the rooms: the first one is
// room.created, "-a" is the end of a.
func (r *rig) put(rooms ...string) {
	r.t.Helper()
	for _, room := range rooms {
		name, ended := strings.CutPrefix(room, "-")
		r.seq++
		r.of[name]++
		e := event(r.epoch, r.seq, events.ViewCountChanged, name)
		e.Time = time.Now().UTC().Truncate(time.Millisecond)
		e.Data.Version, e.Data.Room.ViewCount = r.of[name], int64(r.of[name])
		switch {
		case ended:
			e.Type = events.RoomEnded
			r.of[name] = 0
		case r.of[name] == 1:
			e.Type = events.RoomCreated
		}
		r.publish(message(r.t, 0, e))
	}
}

func (r *rig) publish(m events.Message) {
	r.t.Helper()
	msg := nats.NewMsg(m.Subject)
	msg.Data = m.Body
	msg.Header.Set(nats.MsgIdHdr, m.ID)
	msg.Header.Set("Content-Type", events.ContentType)
	var err error
	for range 5 { // what was lost with a connection is published again, under its id
		if _, err = r.js.PublishMsg(r.t.Context(), msg); err == nil {
			return
		}
	}
	r.t.Fatal(err)
}

// A worker is a handler that notes what it did.
type worker struct {
	mu   sync.Mutex
	log  []string                   // "a1" when the handler of version 1 of room a has returned nil
	fail func(e events.Event) error // called first
}

func (w *worker) handle(_ context.Context, e events.Event) error {
	if w.fail != nil {
		if err := w.fail(e); err != nil {
			return err
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.log = append(w.log, name(e))
	return nil
}

func name(e events.Event) string { return fmt.Sprintf("%s%d", e.Data.Room.RoomID, e.Data.Version) }

func (w *worker) did() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.log)
}

// inOrder returns what was done for a room.
func (w *worker) inOrder(room string) string {
	var list []string
	for _, s := range w.did() {
		if strings.HasPrefix(s, room) {
			list = append(list, s)
		}
	}
	return strings.Join(list, " ")
}

// subscribe runs a subscriber; stop ends it and returns its error.
func (r *rig) subscribe(o events.Options, h events.Handler) (stop func() error) {
	ctx, cancel := context.WithCancel(r.t.Context())
	done := make(chan error, 1)
	if o.Durable == "" {
		o.Durable = "test"
	}
	go func() { done <- events.Subscribe(ctx, r.js, o, h) }()
	return func() error {
		cancel()
		return <-done
	}
}

// pending returns how many deliveries NATS waits for, and how many events are left.
func (r *rig) pending() (int, uint64) {
	r.t.Helper()
	c, err := r.js.Consumer(r.t.Context(), "LIVE", "test")
	if err != nil {
		r.t.Fatal(err)
	}
	return c.CachedInfo().NumAckPending, c.CachedInfo().NumPending
}

// steal takes events from the durable and never says a word about them, as a
// subscriber does that died.
func (r *rig) steal(n int) {
	r.t.Helper()
	c, err := r.js.Consumer(r.t.Context(), "LIVE", "test")
	if err != nil {
		r.t.Fatal(err)
	}
	b, err := c.Fetch(n, jetstream.FetchMaxWait(time.Second))
	if err != nil {
		r.t.Fatal(err)
	}
	got := 0
	for range b.Messages() {
		got++
	}
	if got != n {
		r.t.Fatalf("stole %d events, want %d", got, n)
	}
}

// until lets time pass until ok holds, at most an hour.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Hour); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		synctest.Wait()
		if ok() {
			return
		}
	}
	t.Fatalf("never: %s", what)
}

// chain is "a1 a2 … an".
func chain(room string, n int) string {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprintf("%s%d", room, i+1))
	}
	return strings.Join(list, " ")
}

var errAgain = errors.New("not now")
