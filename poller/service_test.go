package poller

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"roomwatch/diff"
	"roomwatch/diff/logtest"
)

// A call is one request as the service of a test got it.
type call struct {
	n     int           // from 0
	at    time.Duration // since the service was made
	next  string
	query url.Values
}

// A service answers get_room_list over connections that exist in memory only,
// so that it works in a bubble.
type service struct {
	reply func(c call) (status int, body string)
	info  func(c call) (status int, body string) // of get_room_info; next is the RoomId
	after func(n int) string                     // the Retry-After of the n-th answer, "" for none; nil: none has one
	date  time.Time                              // the Date of the answers; zero: net/http's own

	conns chan net.Conn
	done  chan struct{}
	begin time.Time

	mu    sync.Mutex
	calls []call
	dials int
}

func newService(t *testing.T, reply func(call) (int, string)) *service {
	t.Helper()
	s := &service{reply: reply, conns: make(chan net.Conn), done: make(chan struct{}), begin: time.Now()}
	srv := &http.Server{Handler: s}
	go func() { _ = srv.Serve(s) }()
	t.Cleanup(func() {
		_ = srv.Close()
		time.Sleep(time.Hour) // whatever reply still waits for ends, too
	})
	return s
}

func (s *service) Accept() (net.Conn, error) {
	select {
	case c := <-s.conns:
		return c, nil
	case <-s.done:
		return nil, net.ErrClosed
	}
}

func (s *service) Close() error {
	close(s.done)
	return nil
}

func (s *service) Addr() net.Addr { return &net.TCPAddr{} }

func (s *service) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case s.conns <- far:
		s.mu.Lock()
		s.dials++
		s.mu.Unlock()
		return near, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Next  *string
		Count int
	}
	if s.info != nil && r.URL.Path == "/v4/live_engine_http_srv/get_room_info" {
		s.serveInfo(w, r)
		return
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil || body.Next == nil || body.Count != 20 ||
		r.Method != http.MethodPost || r.URL.Path != "/v4/live_engine_http_srv/get_room_list" {
		http.Error(w, "not the request that the documentation asks for", http.StatusTeapot)
		return
	}
	s.mu.Lock()
	c := call{n: len(s.calls), at: time.Since(s.begin), next: *body.Next, query: r.URL.Query()}
	s.calls = append(s.calls, c)
	s.mu.Unlock()
	status, answer := s.reply(c)
	if status == 0 { // cut the connection
		panic(http.ErrAbortHandler)
	}
	s.sayLater(w, c)
	if !s.date.IsZero() {
		w.Header().Set("Date", s.date.UTC().Format(http.TimeFormat))
	}
	w.WriteHeader(status)
	_, _ = fmt.Fprint(w, answer)
}

func (s *service) sayLater(w http.ResponseWriter, c call) {
	if s.after != nil && s.after(c.n) != "" {
		w.Header().Set("Retry-After", s.after(c.n))
	}
}

func (s *service) serveInfo(w http.ResponseWriter, r *http.Request) {
	var body map[string]string
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil || len(body) != 1 || body["RoomId"] == "" {
		http.Error(w, "not the request that the documentation asks for", http.StatusTeapot)
		return
	}
	s.mu.Lock()
	c := call{n: len(s.calls), at: time.Since(s.begin), next: body["RoomId"], query: r.URL.Query()}
	s.calls = append(s.calls, c)
	s.mu.Unlock()
	status, answer := s.info(c)
	s.sayLater(w, c)
	w.WriteHeader(status)
	_, _ = fmt.Fprint(w, answer)
}

func (s *service) log() []call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]call(nil), s.calls...)
}

// newPoller returns a poller of the service. Fields of c that are not set have
// values for tests.
func (s *service) newPoller(t *testing.T, c Config) *Poller {
	t.Helper()
	if c.Endpoint == (Endpoint{}) {
		c.Endpoint = Endpoint{base: "http://live.test"}
	}
	if c.Signer == nil {
		c.Signer = newTestSigner(t)
	}
	c.Dial = s.dial
	p, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.fetch.client.close)
	return p
}

const testKey = "5bd2850fff3ecb11d7c805251c51ee463a25727bddc2385f3fa8bfee1bb93b5e"

func newTestSigner(t *testing.T) *Signer {
	t.Helper()
	s, err := NewSigner(1400000000, "administrator", testKey, 0)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// ok returns the answer that shows rooms (as "a@1=5": RoomId, CreateTime,
// ViewCount) and goes on at next.
func ok(next string, rooms ...string) string {
	rows := make([]string, len(rooms))
	for i, s := range rooms {
		r := room(s)
		rows[i] = fmt.Sprintf(`{"RoomId":%q,"CreateTime":%d,"ViewCount":%d}`, r.RoomID, r.CreateTime, r.ViewCount)
	}
	return fmt.Sprintf(`{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":0,"RequestId":"Id-ok","Response":{"Next":%q,"RoomList":[%s]}}`,
		next, strings.Join(rows, ","))
}

func fail(code int) string {
	return fmt.Sprintf(`{"ActionStatus":"FAIL","ErrorInfo":"the text of %d","ErrorCode":%d,"RequestId":"Id-%d"}`, code, code, code)
}

func room(s string) diff.Room {
	id, rest, _ := strings.Cut(s, "@")
	r := diff.Room{RoomID: id}
	if _, err := fmt.Sscanf(rest, "%d=%d", &r.CreateTime, &r.ViewCount); err != nil {
		panic(s)
	}
	return r
}

// A recorder is a Sink that keeps what it gets.
type recorder struct {
	again   func(n int) bool // after sweep n, from 0; nil: never
	pageErr func() error
	endErr  func() error
	onEnd   func(ctx context.Context)

	mu     sync.Mutex
	pages  []diff.Page
	probes []diff.Page
	sweeps []diff.Sweep
}

func (r *recorder) Page(_ context.Context, p diff.Page) (unknown []diff.Room, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pageErr != nil {
		if err := r.pageErr(); err != nil {
			return nil, err
		}
	}
	r.pages = append(r.pages, p)
	return nil, nil
}

func (r *recorder) Probe(_ context.Context, p diff.Page) (unknown []diff.Room, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.probes = append(r.probes, p)
	return nil, nil
}

func (r *recorder) End(ctx context.Context, s diff.Sweep) (bool, error) {
	if r.onEnd != nil {
		r.onEnd(ctx)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	n := len(r.sweeps)
	r.sweeps = append(r.sweeps, s)
	if r.endErr != nil {
		if err := r.endErr(); err != nil {
			return true, err
		}
	}
	return r.again != nil && r.again(n), nil
}

func (r *recorder) ended() []diff.Sweep {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]diff.Sweep(nil), r.sweeps...)
}

// start runs p until the test ends or the returned function is called.
func start(t *testing.T, p *Poller, sink Sink) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx, sink) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run after cancel = %v, want nil", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// A logBuffer is where a test reads what was logged.
type logBuffer struct{ logtest.Buffer }

func (l *logBuffer) logger(level slog.Level) *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: level}))
}
