package web

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"roomwatch/diff"
	"roomwatch/publisher"
	"roomwatch/publisher/natsconn"
	"roomwatch/publisher/natstest"
	"roomwatch/state"
)

const testApp = 88888888

// A rig is a Server with a state and a stream behind it.
type rig struct {
	t     *testing.T
	web   *Server
	base  string // of its URLs
	store *state.Store

	nats *server.Server
	port int
	dir  string
	js   jetstream.JetStream
	seq  uint64 // of the last event that was published
}

// newRig starts everything; edit may change the configuration. At the end of the
// test nothing may be left of it.
func newRig(t *testing.T, edit func(*Config)) *rig {
	t.Helper()
	running := goleak.IgnoreCurrent()
	r := &rig{t: t, port: server.RANDOM_PORT, dir: t.TempDir()}
	t.Cleanup(func() { goleak.VerifyNone(t, running) })
	r.startNATS()
	r.port = r.nats.Addr().(*net.TCPAddr).Port
	t.Cleanup(func() { r.stopNATS() })
	nc, err := nats.Connect(r.nats.ClientURL(), nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	if r.js, err = jetstream.New(nc); err != nil {
		t.Fatal(err)
	}
	natstest.AllowAnew(t, r.js)
	r.makeStream()
	r.store, err = state.Open(state.Config{Path: filepath.Join(t.TempDir(), "state.db"), SDKAppID: testApp, Policy: diff.DefaultPolicy()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.store.Close(); err != nil {
			t.Error(err)
		}
	})
	c := Config{
		Addr: "127.0.0.1:0", Rooms: r.store, Metrics: prometheus.NewRegistry(), Backup: r.store.Backup,
		Explain: func(string) (Explanation, bool, error) { return Explanation{}, false, nil },
		Status:  func() Status { return Status{Health: OK, Conditions: []Condition{}} },
		Conn:    connection(t, natsconn.Config{URL: fmt.Sprintf("nats://127.0.0.1:%d", r.port)}),
		Stream:  "LIVE", Prefix: "live", SDKAppID: testApp,
	}
	if edit != nil {
		edit(&c)
	}
	r.web = New(c)
	return r
}

// connection returns one that is not made yet.
func connection(t *testing.T, c natsconn.Config) *natsconn.Conn {
	t.Helper()
	conn, err := natsconn.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// serve lets the server answer.
func (r *rig) serve() *rig {
	r.t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(r.t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		r.t.Fatal(err)
	}
	r.base = "http://" + l.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- r.web.Serve(ctx, l) }()
	r.t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		cancel()
		if err := <-served; err != nil {
			r.t.Errorf("Serve = %v", err)
		}
	})
	return r
}

func (r *rig) startNATS() {
	r.t.Helper()
	r.nats = natstest.Start(r.t, func(o *server.Options) { o.Port, o.StoreDir = r.port, r.dir })
}

func (r *rig) stopNATS() {
	r.nats.Shutdown()
	r.nats.WaitForShutdown()
}

func (r *rig) makeStream() {
	r.t.Helper()
	if _, err := r.js.CreateStream(r.t.Context(), jetstream.StreamConfig{Name: "LIVE", Subjects: []string{"live.>"}}); err != nil {
		r.t.Fatal(err)
	}
}

// remakeStream deletes the stream and makes it again.
func (r *rig) remakeStream() {
	r.t.Helper()
	if err := r.js.DeleteStream(r.t.Context(), "LIVE"); err != nil {
		r.t.Fatal(err)
	}
	r.makeStream()
}

// publish stores an event of a room, whose views are its number.
func (r *rig) publish(t diff.Type, room string) {
	r.t.Helper()
	r.seq++
	e := diff.Event{
		ID: fmt.Sprintf("EPOCH-%016d", r.seq), Seq: r.seq, Type: t, Version: 1, Sweep: 1, Time: time.Now(),
		Room: diff.Room{RoomID: room, RoomName: "name", CreateTime: 1, ViewCount: int64(r.seq)},
	}
	body := publisher.Encode(testApp, e)
	r.put(publisher.Subject("live", t, testApp, room), body)
}

// put stores a message; while NATS comes back it retries.
func (r *rig) put(subject string, body []byte) {
	r.t.Helper()
	var err error
	for range 500 {
		if _, err = r.js.Publish(r.t.Context(), subject, body); err == nil {
			return
		}
		<-time.After(20 * time.Millisecond)
	}
	r.t.Fatal(err)
}

// get returns the status, the header and the body of an answer.
func (r *rig) get(path string, header ...string) (int, http.Header, string) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), 20*time.Second)
	defer cancel()
	resp := r.open(ctx, path, header...)
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(b)
}

// open begins to read an answer. A header is "Name: value"; Host may be one.
func (r *rig) open(ctx context.Context, path string, header ...string) *http.Response {
	r.t.Helper()
	method := http.MethodGet
	if m, p, ok := strings.Cut(path, " "); ok {
		method, path = m, p
	}
	req, err := http.NewRequestWithContext(ctx, method, r.base+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, h := range header {
		name, value, _ := strings.Cut(h, ": ")
		if name == "Host" {
			req.Host = value
		}
		req.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp
}

// A reader reads server-sent events.
type sseReader struct {
	t      *testing.T
	events chan sse
	leave  func() // and wait until the answer is over for the client
}

type sse struct{ id, event, data string }

// read begins to read events; it returns when the answer has begun.
func (r *rig) read(query string, header ...string) *sseReader {
	r.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	resp := r.open(ctx, "/api/v1/events"+query, header...)
	if resp.StatusCode != http.StatusOK {
		b, _ := io.ReadAll(resp.Body)
		r.t.Fatalf("events%s: %d %s", query, resp.StatusCode, b)
	}
	rd := &sseReader{t: r.t, events: make(chan sse, 10000)}
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(rd.events)
		defer func() { _ = resp.Body.Close() }()
		var e sse
		for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
			name, value, _ := strings.Cut(lines.Text(), ": ")
			switch name {
			case "id":
				e.id = value
			case "event":
				e.event = value
			case "data":
				e.data = value
			case "":
				if e.event != "" {
					rd.events <- e
				}
				e = sse{}
			}
		}
	})
	rd.leave = func() { cancel(); wg.Wait() }
	r.t.Cleanup(rd.leave)
	return rd
}

// next returns the next event.
func (r *sseReader) next() sse {
	r.t.Helper()
	select {
	case e, ok := <-r.events:
		if !ok {
			r.t.Fatal("the answer is over")
		}
		return e
	case <-time.After(20 * time.Second):
		r.t.Fatal("no event")
	}
	return sse{}
}

// want fails if the next events are not these: "type room" each, or "reset".
func (r *sseReader) want(events ...string) (last sse) {
	r.t.Helper()
	for i, want := range events {
		last = r.next()
		got := last.event
		if got != "reset" {
			e, err := publisher.Decode([]byte(last.data))
			if err != nil {
				r.t.Fatalf("event %d: %v", i, err)
			}
			got = fmt.Sprintf("%s %s", e.Type, e.Room.RoomID)
		}
		if got != want {
			r.t.Fatalf("event %d is %q, want %q", i, got, want)
		}
	}
	return last
}

// eventually fails the test if ok does not become true.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
		if ok() {
			return
		}
		<-time.After(10 * time.Millisecond)
	}
	t.Fatalf("never: %s", what)
}

// following waits until so many consumers read the stream.
func (r *rig) following(n int) {
	r.t.Helper()
	eventually(r.t, fmt.Sprintf("%d consumers", n), func() bool {
		s, err := r.js.Stream(r.t.Context(), "LIVE")
		return err == nil && s.CachedInfo().State.Consumers == n
	})
}
