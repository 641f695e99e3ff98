package publisher

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/diff"
	"roomwatch/diff/logtest"
	"roomwatch/publisher/natsconn"
	"roomwatch/publisher/natstest"
)

const app = 88888888

var live = StreamConfig{Name: "LIVE", Prefix: "live"}

// box is an outbox in memory. It obeys the contract of [Outbox].
type box struct {
	mu               sync.Mutex
	epoch            string
	follows          string
	watched          time.Time
	until, gapTo     time.Time // what the stream says of the watch
	stored, assigned uint64
	events           []diff.Event // of stored+1 … assigned
	last             *diff.Event  // the one before them, if it is known
	rooms            map[string]diff.Event
	rebuilds         int
	renumbered       int
	committed        chan struct{}
	at               uint64 // see Follow
	made             time.Time
}

func newBox(epoch string) *box { return &box{epoch: epoch, committed: make(chan struct{}, 1)} }

// add commits n events, of ten rooms in turn.
func (b *box) add(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for range n {
		b.put(fmt.Sprintf("room%d", b.assigned%10), "")
	}
}

// put commits one event; mu is held.
func (b *box) put(room, name string) {
	b.assigned++
	b.events = append(b.events, diff.Event{
		ID: eventID(b.epoch, b.assigned), Seq: b.assigned, Type: diff.ViewCountChanged, Version: 1 + b.assigned,
		Room: diff.Room{RoomID: room, RoomName: name, ViewCount: int64(b.assigned)}, Time: time.Now().UTC(),
	})
	select {
	case b.committed <- struct{}{}:
	default:
	}
}

func (b *box) addRoom(room, name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.put(room, name)
}

func (b *box) Position() (string, uint64, uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.epoch, b.stored, b.assigned
}

func (b *box) Follows() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.follows
}

func (b *box) Events(after uint64, limit int) ([]diff.Event, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if after < b.stored || after > b.assigned {
		return nil, fmt.Errorf("events after %d of %d … %d", after, b.stored, b.assigned)
	}
	rest := b.events[after-b.stored:]
	return append([]diff.Event(nil), rest[:min(limit, len(rest))]...), nil
}

func (b *box) Stored(seq uint64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if seq < b.stored || seq > b.assigned {
		return fmt.Errorf("stored %d of %d … %d", seq, b.stored, b.assigned)
	}
	if seq > b.stored {
		b.last = &b.events[seq-b.stored-1]
	}
	b.events, b.stored = b.events[seq-b.stored:], seq
	return nil
}

func (b *box) Event(seq uint64) (e diff.Event, known bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case seq == b.stored && b.last != nil:
		e = *b.last
	case seq > b.stored && seq <= b.assigned:
		e = b.events[seq-b.stored-1]
	default:
		return e, false, nil
	}
	e.ID, e.Seq = "", 0
	return e, true, nil
}

func (b *box) Renumber() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stored > 0 {
		b.follows = eventID(b.epoch, b.stored)
	}
	b.renumbered++
	b.epoch, b.stored, b.assigned = fmt.Sprintf("%s/%d", b.epoch, b.renumbered), 0, 0
	for i := range b.events {
		b.assigned++
		b.events[i].ID, b.events[i].Seq = eventID(b.epoch, b.assigned), b.assigned
	}
	return nil
}

func (b *box) WatchedSince() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.watched
}

func (b *box) Watched(until, gapTo time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.until, b.gapTo = until, gapTo
	return nil
}

func (b *box) Rebuild(last diff.Event, watchedSince time.Time, events iter.Seq2[diff.Event, error]) error {
	rooms := map[string]diff.Event{}
	for e, err := range events {
		if err != nil {
			return err
		}
		if delete(rooms, e.Room.RoomID); e.Type != diff.RoomEnded {
			rooms[e.Room.RoomID] = e
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rebuilds++
	b.watched, b.last = watchedSince, &last
	b.follows, b.epoch = last.ID, fmt.Sprintf("%s+%d", b.epoch, b.rebuilds)
	b.stored, b.assigned, b.events, b.rooms = 0, 0, nil, rooms
	return nil
}

func (b *box) Committed() <-chan struct{} { return b.committed }

// A cut is a network between client and server that can lose what goes one way.
// What is lost breaks the protocol, so heal closes the connections, as TCP would.
type cut struct {
	answers, requests atomic.Bool // lost
	mu                sync.Mutex
	conns             []net.Conn
}

func (c *cut) tap(conn net.Conn) (net.Conn, error) {
	if c.answers.Load() || c.requests.Load() {
		return nil, errors.Join(errors.New("cut"), conn.Close())
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conns = append(c.conns, conn)
	return &cutConn{Conn: conn, cut: c}, nil
}

func (c *cut) heal() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range c.conns {
		_ = conn.Close()
	}
	c.conns = nil
	c.answers.Store(false)
	c.requests.Store(false)
}

type cutConn struct {
	net.Conn
	cut *cut
}

func (c *cutConn) Read(b []byte) (int, error) {
	for {
		n, err := c.Conn.Read(b)
		if err != nil || !c.cut.answers.Load() {
			return n, err
		}
	}
}

func (c *cutConn) Write(b []byte) (int, error) {
	if c.cut.requests.Load() {
		return len(b), nil
	}
	return c.Conn.Write(b)
}

// A run is a publisher that runs, and what came of it.
type run struct {
	*Publisher
	js   jetstream.JetStream // for the test
	stop func() error
	done chan struct{}
	err  error
	log  *logtest.Buffer
}

// wantEnd fails unless the run ends by itself within a minute, in a bubble.
func (r *run) wantEnd(t *testing.T) {
	t.Helper()
	select {
	case <-r.done:
	case <-time.After(time.Minute):
		t.Fatal("it goes on")
	}
}

// start runs a publisher until stop, or the end of the test.
func start(t testing.TB, nc *nats.Conn, out Outbox) *run {
	t.Helper()
	return startWith(t, Config{Conn: natsconn.Of(nc), Outbox: out})
}

// startWith does so with more than connection and outbox.
func startWith(t testing.TB, c Config) *run {
	t.Helper()
	return startTerm(t, c, 0)
}

// startTerm does so with a lease of a term.
func startTerm(t testing.TB, c Config, term uint64) *run {
	t.Helper()
	log := &logtest.Buffer{}
	if c.Stream.Name == "" {
		c.Stream = live
	}
	if c.SDKAppID == 0 {
		c.SDKAppID = app
	}
	c.Version, c.Log = "test", slog.New(slog.NewTextHandler(log, nil))
	p, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	js, err := c.Conn.JetStream(jetstream.WithDefaultTimeout(requestTimeout))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &run{Publisher: p, js: js, done: make(chan struct{}), log: log}
	go func() {
		defer close(r.done)
		r.err = p.Run(ctx, term)
	}()
	r.stop = func() error { cancel(); <-r.done; return r.err }
	t.Cleanup(func() { _ = r.stop() })
	return r
}

// stream opens the stream of the test, and makes it if it does not exist.
func stream(t testing.TB, nc *nats.Conn, edit func(*jetstream.StreamConfig)) jetstream.Stream {
	t.Helper()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	s, err := js.Stream(t.Context(), live.Name)
	if err == nil && edit == nil {
		return s
	}
	c := live.wanted()
	if edit != nil {
		edit(&c)
	}
	if s, err = js.CreateOrUpdateStream(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	return s
}

// events returns all events in the stream, in its order.
func events(t testing.TB, nc *nats.Conn) []diff.Event {
	t.Helper()
	s := stream(t, nc, nil)
	info, err := s.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var all []diff.Event
	for i := info.State.FirstSeq; i <= info.State.LastSeq && info.State.Msgs > 0; i++ {
		m, err := s.GetMsg(t.Context(), i)
		if errors.Is(err, jetstream.ErrMsgNotFound) || err == nil && m.Subject == claimSubject(live.Prefix, app) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		e, err := Decode(m.Data)
		if err != nil {
			t.Errorf("message %d: %v", i, err)
			continue
		}
		if id := m.Header.Get(nats.MsgIdHdr); id != e.ID {
			t.Errorf("message %d of event %s has the id %q", i, e.ID, id)
		}
		all = append(all, e)
	}
	return all
}

// wantEvents fails unless the stream has exactly the events from … to, in order.
func wantEvents(t testing.TB, nc *nats.Conn, from, to uint64) {
	t.Helper()
	all := events(t, nc)
	for i, e := range all {
		if e.Seq != from+uint64(i) {
			t.Fatalf("event %d of the stream has the number %d, want %d", i, e.Seq, from+uint64(i))
		}
	}
	if got, want := uint64(len(all)), to+1-from; got != want {
		t.Fatalf("the stream has %d events, want %d", got, want)
	}
}

// wantIDs fails unless the stream has exactly the events first to last of each
// part, "epoch first last", in order.
func wantIDs(t testing.TB, nc *nats.Conn, parts ...string) {
	t.Helper()
	var want []string
	for _, p := range parts {
		var epoch string
		var first, last uint64
		if _, err := fmt.Sscan(p, &epoch, &first, &last); err != nil {
			t.Fatalf("%q: %v", p, err)
		}
		for ; first <= last; first++ {
			want = append(want, eventID(epoch, first))
		}
	}
	var got []string
	for _, e := range events(t, nc) {
		got = append(got, e.ID)
	}
	if !slices.Equal(got, want) {
		t.Fatalf("the stream has the events %q, want %q", got, want)
	}
}

// bubble runs f with a server, a publisher on an empty outbox and a second connection.
func bubble(t *testing.T, f func(t *testing.T, s *natstest.Server, nc *nats.Conn, b *box)) {
	natstest.Run(t, func(t *testing.T, s *natstest.Server) {
		f(t, s, s.Connect(), newBox("E1"))
	})
}

// pass lets time go by in a bubble, until all is quiet.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func sameJSON(a, b any) bool {
	x, xerr := json.Marshal(a)
	y, yerr := json.Marshal(b)
	return xerr == nil && yerr == nil && string(x) == string(y)
}
