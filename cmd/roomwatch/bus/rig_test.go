package bus

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"roomwatch/cmd/roomwatch/web"
	"roomwatch/diff"
	"roomwatch/diff/logtest"
	"roomwatch/publisher/natsconn"
	"roomwatch/publisher/natstest"
	"roomwatch/state"
)

const testApp = 88888888

// A rig is a NATS server with a service, and the HTTP server that tells the same.
type rig struct {
	t     *testing.T
	nats  *server.Server
	port  int
	store *state.Store
	web   *web.Server
	base  string     // of its URLs
	nc    *nats.Conn // of who asks
	log   logtest.Buffer

	reader atomic.Bool // this process is not the writer
}

// newRig starts everything but the service; edit may change the server's options. At
// the end of the test nothing may be left of it.
func newRig(t *testing.T, edit func(*server.Options)) *rig {
	t.Helper()
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, before) })
	r := &rig{t: t, nats: natstest.Start(t, edit)}
	r.port = r.nats.Addr().(*net.TCPAddr).Port
	r.nc = r.client()
	var err error
	r.store, err = state.Open(state.Config{Path: filepath.Join(t.TempDir(), "state.db"), SDKAppID: testApp, Policy: diff.DefaultPolicy()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.store.Close() })
	conn, err := natsconn.New(r.connection())
	if err != nil {
		t.Fatal(err)
	}
	r.web = web.New(web.Config{
		Addr: "127.0.0.1:0", Rooms: r.store, Metrics: prometheus.NewRegistry(), Backup: r.store.Backup, Conn: conn, Stream: "LIVE", Prefix: "live", SDKAppID: testApp,
		Explain: func(string) (web.Explanation, bool, error) { return web.Explanation{}, false, nil },
		Status: func() web.Status {
			return web.Status{Version: "devel", Health: web.OK, Conditions: []web.Condition{}, Rooms: web.RoomCount{Known: r.store.Status().Rooms}}
		},
	})
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.base = "http://" + l.Addr().String()
	r.background(func(ctx context.Context) error { return r.web.Serve(ctx, l) })
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	return r
}

func (r *rig) connection() natsconn.Config {
	return natsconn.Config{URL: fmt.Sprintf("nats://127.0.0.1:%d", r.port)}
}

// client connects as one who asks.
func (r *rig) client() *nats.Conn {
	r.t.Helper()
	nc, err := nats.Connect(r.nats.ClientURL(), nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond))
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(nc.Close)
	return nc
}

// background runs something until the end of the test.
func (r *rig) background(run func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx) }()
	r.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			r.t.Errorf("Run = %v", err)
		}
	})
}

// start runs a service, and waits until it is there; edit may change its configuration.
func (r *rig) start(edit func(*Config)) *Service {
	r.t.Helper()
	c := Config{
		Connection: r.connection(), SDKAppID: testApp, StreamPrefix: "live", Version: "v1.2.3", Answers: r.web,
		Writer: func() bool { return !r.reader.Load() }, Log: slog.New(slog.NewTextHandler(&r.log, nil)),
	}
	if edit != nil {
		edit(&c)
	}
	s, err := New(c)
	if err != nil {
		r.t.Fatal(err)
	}
	r.background(s.Run)
	return s
}

// there waits until a subject is answered.
func (r *rig) there(subject string) {
	r.t.Helper()
	eventually(r.t, subject, func() bool {
		_, err := r.nc.Request(subject, nil, time.Second)
		return err == nil
	})
}

// ask sends a question to the application of the test, and returns the answer with its
// code and text; 200 for one that is no error.
func (r *rig) ask(name, question string) (code, text, body string) {
	r.t.Helper()
	m, err := r.nc.Request(Prefix(testApp)+"."+name, []byte(question), 5*time.Second)
	if err != nil {
		r.t.Fatalf("%s %s: %v", name, question, err)
	}
	if code = m.Header.Get(micro.ErrorCodeHeader); code == "" {
		code = "200"
	}
	return code, m.Header.Get(micro.ErrorHeader), string(m.Data)
}

// get returns the answer of HTTP.
func (r *rig) get(path string) string {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, r.base+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return string(b)
}

// list commits rooms.
func (r *rig) list(rooms ...diff.Room) {
	r.t.Helper()
	if err := r.store.Commit(diff.Page{At: time.Now(), Rooms: rooms}); err != nil {
		r.t.Fatal(err)
	}
}

// ids reads a list page by page: next returns the answer for a cursor, "" for the first.
func (r *rig) ids(next func(cursor string) string) (ids []string, pages int) {
	r.t.Helper()
	for cursor := ""; ; pages++ {
		var l web.RoomList
		body := next(cursor)
		if err := json.Unmarshal([]byte(body), &l); err != nil {
			r.t.Fatalf("%v: %s", err, body)
		}
		if len(l.Rooms) == 0 {
			r.t.Fatalf("an empty page: %s", body)
		}
		for _, room := range l.Rooms {
			ids = append(ids, room.RoomID)
		}
		if l.Next == nil {
			return ids, pages + 1
		}
		cursor = *l.Next
	}
}

// eventually fails the test if ok does not become true.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); <-time.After(10 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("never: %s", what)
}
