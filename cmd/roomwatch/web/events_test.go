package web

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/diff"
	"roomwatch/publisher"
	"roomwatch/publisher/natsconn"
)

// A reader gets what it asked for, as it is stored, and nothing else.
func TestEvents(t *testing.T) {
	r := newRig(t, nil).serve()
	r.publish(diff.RoomCreated, "early")
	odd := "a.b *>%/ü\n\r\x00"
	readers := map[string]*sseReader{}
	for _, query := range []string{"", "?type=room.ended&type=viewcount.changed&type=room.ended", "?room=" + "a.b%20*%3E%25%2F%C3%BC%0A%0D%00", "?since=1h", "?since=1h&type=room.created"} {
		readers[query] = r.read(query)
	}
	r.following(len(readers))
	r.put("live.writer.claimed.88888888", []byte(`{"specversion":"1.0","type":"writer.claimed"}`))
	r.put("live.room.created.88888888.alien", []byte("no event"))
	r.put("live.room.created.88888888.liar", []byte(`{"id":"EPOCH-0000000000000009","type":"x\nevent: y","time":"2026-11-23T12:00:00Z","data":{"room":{"RoomId":"liar"},"version":1}}`))
	r.put("live.room.created.1.other", []byte("of another application"))
	r.publish(diff.RoomCreated, "a")
	r.publish(diff.RoomEnded, odd)
	body := publisher.Encode(testApp, diff.Event{ID: "EPOCH-0000000000000010", Seq: 10, Type: diff.ViewCountChanged, Version: 2, Time: time.Now(), Room: diff.Room{RoomID: "b"}})
	r.put("live.viewcount.changed.88888888.b", []byte(strings.ReplaceAll(string(body), `","`, "\",\r\n\"")))
	last := readers[""].want("room.created a", "room.ended "+odd, "viewcount.changed b")
	if last.data != string(body) {
		t.Errorf("data is %s, want %s", last.data, body)
	}
	readers["?type=room.ended&type=viewcount.changed&type=room.ended"].want("room.ended "+odd, "viewcount.changed b")
	readers["?room=a.b%20*%3E%25%2F%C3%BC%0A%0D%00"].want("room.ended " + odd)
	readers["?since=1h"].want("room.created early", "room.created a", "room.ended "+odd, "viewcount.changed b")
	readers["?since=1h&type=room.created"].want("room.created early", "room.created a")
	for query, rd := range readers {
		select {
		case e := <-rd.events:
			t.Errorf("%q: one more: %v", query, e)
		default:
		}
		rd.leave()
	}
	r.following(0) // the server keeps nothing of those who left
}

// Readers leave at any time: also while their consumer is being made, which
// begins with the reset that they see, and while messages come to them.
func TestReadersLeaveNoConsumer(t *testing.T) {
	r := newRig(t, nil).serve()
	for round := range 20 {
		var readers []*sseReader
		for range 10 {
			readers = append(readers, r.read("", "Last-Event-ID: nonsense"))
		}
		if round%2 == 0 {
			r.publish(diff.RoomCreated, "a")
		}
		for _, rd := range readers {
			rd.want("reset")
			rd.leave()
		}
		r.following(0)
	}
}

// A reader that comes back continues behind the last event it has: from the
// header, which goes before the query, or from the query.
func TestResume(t *testing.T) {
	r := newRig(t, nil).serve()
	rd := r.read("")
	r.following(1)
	r.publish(diff.RoomCreated, "a")
	a := rd.want("room.created a")
	r.publish(diff.RoomCreated, "b")
	b := rd.want("room.created b")
	rd.leave()
	r.publish(diff.RoomCreated, "c")
	r.read("", "Last-Event-ID: "+a.id).want("room.created b", "room.created c")
	r.read("?last_event_id="+a.id).want("room.created b", "room.created c")
	r.read("?since=1h&last_event_id="+a.id, "Last-Event-ID: "+b.id).want("room.created c")
}

// Who cannot resume where it was is told so, and gets what comes next.
func TestReset(t *testing.T) {
	r := newRig(t, nil).serve()
	rd := r.read("")
	r.following(1)
	for _, room := range []string{"a", "b", "c"} {
		r.publish(diff.RoomCreated, room)
	}
	a := rd.want("room.created a")
	c := rd.want("room.created b", "room.created c")
	rd.leave()

	for id, reason := range map[string]string{
		"nonsense":                          "nonsense",
		"-":                                 "not the id",
		"x-y":                               "not the id",
		strings.Split(c.id, "-")[0] + "-99": "less than it did",
		"0-1":                               "recreated",
	} {
		rd := r.read("", "Last-Event-ID: "+id)
		if e := rd.want("reset"); !strings.Contains(e.data, reason) {
			t.Errorf("reset of %q: %q, want %q", id, e.data, reason)
		}
		rd.leave()
	}
	if err := purge(r); err != nil {
		t.Fatal(err)
	}
	rd = r.read("", "Last-Event-ID: "+a.id)
	if e := rd.want("reset"); !strings.Contains(e.data, "no longer in the stream") {
		t.Errorf("reset of a purged stream: %q", e.data)
	}
	at := r.read("", "Last-Event-ID: "+c.id) // nothing behind it is gone
	r.following(2)
	r.publish(diff.RoomCreated, "d")
	rd.want("room.created d")
	d := at.want("room.created d")

	// Made anew, with events under numbers that the readers are past already.
	r.remakeStream()
	r.publish(diff.RoomCreated, "lost")
	reset := rd.want("reset")
	at.want("reset")
	r.publish(diff.RoomCreated, "e")
	rd.want("room.created e")
	at.want("room.created e")
	r.read("", "Last-Event-ID: "+d.id).want("reset")
	r.read("", "Last-Event-ID: "+reset.id).want("room.created e") // the id of the reset is one to resume from
}

// The server comes back with another stream under the same name, which continues
// beyond where the readers are: what it has is not what they miss.
func TestResetAfterAnExchange(t *testing.T) {
	r := newRig(t, nil).serve()
	rd := r.read("")
	r.following(1)
	r.publish(diff.RoomCreated, "a")
	rd.want("room.created a")
	r.stopNATS()
	port := r.port
	r.dir, r.port = t.TempDir(), server.RANDOM_PORT
	r.startNATS()
	nc, err := nats.Connect(r.nats.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	before := r.js
	if r.js, err = jetstream.New(nc); err != nil {
		t.Fatal(err)
	}
	r.makeStream()
	for _, room := range []string{"b", "c", "d"} {
		r.publish(diff.RoomCreated, room)
	}
	nc.Close()
	r.stopNATS()
	r.js, r.port = before, port
	r.startNATS()
	rd.want("reset")
	r.publish(diff.RoomCreated, "e")
	rd.want("room.created e")
}

func purge(r *rig) error {
	s, err := r.js.Stream(r.t.Context(), "LIVE")
	if err != nil {
		return err
	}
	return s.Purge(r.t.Context())
}

// NATS goes and comes, before the first reader and under its feet: the answer
// stays open, and each event comes once.
func TestEventsWhileNATSIsAway(t *testing.T) {
	r := newRig(t, nil)
	r.stopNATS()
	r.serve()
	rd := r.read("")
	late := r.read("?since=1h")
	r.startNATS()
	r.following(2)
	r.publish(diff.RoomCreated, "a")
	rd.want("room.created a")
	late.want("room.created a")
	for _, room := range []string{"b", "c"} {
		r.stopNATS()
		r.startNATS()
		r.publish(diff.RoomCreated, room)
		rd.want("room.created " + room)
		late.want("room.created " + room)
	}
}

// NATS can end a connection permanently. Readers continue over another one.
func TestEventsAfterTheirConnectionWasClosed(t *testing.T) {
	var conn *natsconn.Conn
	r := newRig(t, func(c *Config) { conn = c.Conn }).serve()
	rd := r.read("")
	r.following(1)
	conn.Client().Close()
	r.publish(diff.RoomCreated, "a")
	rd.want("room.created a")
}

// There is no stream yet: the answer waits for it.
func TestEventsBeforeTheStream(t *testing.T) {
	r := newRig(t, nil).serve()
	if err := r.js.DeleteStream(t.Context(), "LIVE"); err != nil {
		t.Fatal(err)
	}
	rd := r.read("")
	r.makeStream()
	r.following(1)
	r.publish(diff.RoomCreated, "a")
	rd.want("room.created a")
}

// A reader that takes nothing slows nobody down, and is disconnected in the end.
func TestSlowReader(t *testing.T) {
	r := newRig(t, nil)
	r.web.patience = 500 * time.Millisecond
	r.serve()
	const n, size = 1500, 16 << 10 // more than what the kernel keeps for a connection
	for i := range n {
		body := publisher.Encode(testApp, diff.Event{
			ID: fmt.Sprintf("EPOCH-%016d", i+1), Seq: uint64(i + 1), Type: diff.RoomCreated, Version: 1, Time: time.Now(),
			Room: diff.Room{RoomID: "a", RoomName: strings.Repeat("x", size)},
		})
		if _, err := r.js.PublishAsync("live.room.created.88888888.a", body); err != nil {
			t.Fatal(err)
		}
	}
	<-r.js.PublishAsyncComplete()
	var d net.Dialer
	slow, err := d.DialContext(t.Context(), "tcp", strings.TrimPrefix(r.base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = slow.Close() }()
	if _, err := fmt.Fprintf(slow, "GET /api/v1/events?since=1h HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the slow reader", func() bool { return len(r.web.feed.readers) == 1 })
	resp := r.open(t.Context(), "/api/v1/events?since=1h")
	got := 0
	buf := make([]byte, 64<<10)
	for got < n*size {
		k, err := resp.Body.Read(buf)
		if got += k; err != nil {
			t.Fatalf("after %d bytes: %v", got, err)
		}
	}
	_ = resp.Body.Close()
	eventually(t, "the end of the slow reader", func() bool { return len(r.web.feed.readers) == 0 })
	took, err := io.Copy(io.Discard, slow)
	if took >= n*size {
		t.Errorf("the slow reader got all %d bytes, %v", took, err)
	}
}

// There is an end to how many can read, and a place is free when one leaves.
func TestTooManyReaders(t *testing.T) {
	r := newRig(t, nil).serve()
	var readers []*sseReader
	for range mostReaders {
		readers = append(readers, r.read(""))
	}
	status, header, body := r.get("/api/v1/events")
	if status != http.StatusTooManyRequests || header.Get("Retry-After") == "" || !strings.Contains(body, "32 readers") {
		t.Errorf("one more reader: %d, %s", status, body)
	}
	readers[7].leave()
	eventually(t, "a free place", func() bool { return len(r.web.feed.readers) < mostReaders })
	r.read("")
	r.following(mostReaders)
	r.publish(diff.RoomCreated, "a")
	readers[0].want("room.created a")
}

// The header comes at once, a ping where nothing else comes is written as a
// comment, and the head of the answer can be asked for alone.
func TestEventsBegin(t *testing.T) {
	r := newRig(t, func(c *Config) {
		c.Conn = connection(t, natsconn.Config{URL: "nats://127.0.0.1:1"}) // nobody listens there
	}).serve()
	resp := r.open(t.Context(), "/api/v1/events")
	defer func() { _ = resp.Body.Close() }()
	if h := resp.Header; h.Get("Content-Type") != "text/event-stream" || h.Get("Cache-Control") != "no-store, no-transform" || h.Get("X-Accel-Buffering") != "no" {
		t.Errorf("header %v", h)
	}
	if status, _, body := r.get("HEAD /api/v1/events"); status != http.StatusOK || body != "" {
		t.Errorf("HEAD: %d %q", status, body)
	}
}

// What cannot be meant is refused with the parameter, the reason and the fix.
func TestEventParameters(t *testing.T) {
	r := newRig(t, nil).serve()
	for query, want := range map[string]string{
		"?type=room.opened":  "room.created",
		"?type=":             "room.created",
		"?since=10":          "10m",
		"?since=-10m":        "since",
		"?room=a&room=b":     "room is given 2 times",
		"?kind=room.created": "kind",
		"?room=%zz":          "percent-encode",
	} {
		if status, _, body := r.get("/api/v1/events" + query); status != http.StatusBadRequest || !strings.Contains(body, want) {
			t.Errorf("%s: %d %s, want %q", query, status, body, want)
		}
	}
}
