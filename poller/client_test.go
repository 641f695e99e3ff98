package poller

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

// probe makes one request of a new poller to a server on a real socket.
func probe(t *testing.T, base string, c Config) (Glance, error) {
	t.Helper()
	e, err := ParseEndpoint(base)
	if err != nil {
		t.Fatal(err)
	}
	c.Endpoint, c.RequestsPerSecond = e, 1000
	if c.Signer == nil {
		c.Signer = newTestSigner(t)
	}
	p, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return p.Glance(context.Background())
}

func TestRequestIsTheDocumentedOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, func(call) (int, string) { return 200, ok("", "a@1=5") })
		p := s.newPoller(t, Config{})
		for range 2 {
			g, err := p.Glance(context.Background())
			if err != nil || g.Rooms != 1 || g.More || g.RequestID != "Id-ok" {
				t.Fatalf("Glance = %+v, %v", g, err)
			}
		}
		calls := s.log()
		if len(calls) != 2 {
			t.Fatalf("%d requests for two glances", len(calls))
		}
		q := calls[0].query
		sig, _, err := p.fetch.signer.current()
		if err != nil || q.Get("usersig") != sig {
			t.Errorf("usersig %q, want %q, %v", q.Get("usersig"), sig, err)
		}
		if len(q) != 5 || q.Get("sdkappid") != "1400000000" || q.Get("identifier") != "administrator" || q.Get("contenttype") != "json" {
			t.Errorf("query %v", q)
		}
		if _, err := strconv.ParseUint(q.Get("random"), 10, 32); err != nil || q.Get("random") == calls[1].query.Get("random") {
			t.Errorf("random %q, then %q", q.Get("random"), calls[1].query.Get("random"))
		}
	})
}

func TestProbeIsOneRequest(t *testing.T) {
	tests := []struct {
		code   int
		class  Class
		config bool
	}{{100001, Retry, false}, {60007, Throttle, false}, {70003, Resign, false}, {60026, Fatal, true}, {100002, Bug, false}}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			s := newService(t, func(call) (int, string) { return 200, fail(tt.code) })
			_, err := s.newPoller(t, Config{}).Glance(context.Background())
			e, isAPI := errors.AsType[*APIError](err)
			if !isAPI || e.Code != tt.code || e.Class != tt.class || errors.Is(err, ErrConfig) != tt.config || len(s.log()) != 1 {
				t.Errorf("code %d: %v after %d requests", tt.code, err, len(s.log()))
			}
		})
	}
}

// One connection serves many requests, refusals among them, and none outlives Run.
func TestKeepAlive(t *testing.T) {
	var conns, requests atomic.Int32
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		switch requests.Add(1) {
		case 7:
			http.Error(w, strings.Repeat("x", 5000), http.StatusBadGateway)
		case 12:
			_, _ = io.WriteString(w, fail(100001))
		default:
			_, _ = io.WriteString(w, ok("", "a@1=5"))
		}
	}))
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			conns.Add(1)
		}
	}
	srv.Start()
	defer srv.Close()
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent()) // before the server closes the connection
	e, err := ParseEndpoint(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	p, err := New(Config{Endpoint: e, Signer: newTestSigner(t), RequestsPerSecond: 1000})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	sink := &recorder{again: func(int) bool { return true }, onEnd: func(context.Context) {
		if requests.Load() >= 20 {
			cancel()
		}
	}}
	if err := p.Run(ctx, sink); err != nil {
		t.Fatal(err)
	}
	if n := conns.Load(); n != 1 {
		t.Errorf("%d connections for %d requests", n, requests.Load())
	}
}

func TestAnswerTooLarge(t *testing.T) {
	defer goleak.VerifyNone(t)
	body := ok("", "a@1=5")
	for _, tt := range []struct {
		size int
		want string
	}{{maxAnswer, "<nil>"}, {maxAnswer + 1, "answer has more than 4194304 bytes"}} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, body+strings.Repeat(" ", tt.size-len(body)))
		}))
		_, err := probe(t, srv.URL, Config{})
		srv.Close()
		if !strings.HasSuffix(fmt.Sprint(err), tt.want) {
			t.Errorf("%d bytes: %v, want %s", tt.size, err, tt.want)
		}
	}
}

func TestRedirectIsNotFollowed(t *testing.T) {
	defer goleak.VerifyNone(t)
	var requests atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		http.Redirect(w, r, "/elsewhere?"+r.URL.RawQuery, http.StatusTemporaryRedirect)
	}))
	defer srv.Close()
	_, err := probe(t, srv.URL, Config{})
	if err == nil || !strings.Contains(err.Error(), "HTTP status 307") || requests.Load() != 1 {
		t.Errorf("Glance = %v after %d requests", err, requests.Load())
	}
}

// The time-out is that of one request, and says so.
func TestRequestTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, func(call) (int, string) {
			time.Sleep(time.Minute)
			return 200, ok("")
		})
		p := s.newPoller(t, Config{RequestTimeout: 4 * time.Second, RequestsPerSecond: 10})
		begin := time.Now()
		_, err := p.Glance(context.Background())
		want := "get_room_list http://live.test: no answer within 4s: context deadline exceeded"
		if fmt.Sprint(err) != want || time.Since(begin) != 5*time.Second {
			t.Errorf("Glance = %v after %v, want %s", err, time.Since(begin), want)
		}
	})
}

// The banner of another kind of server is no part of the error.
func TestAnswerThatIsNotHTTP(t *testing.T) {
	for _, banner := range []string{
		"INFO {\"server_id\":\"" + strings.Repeat("A", 400) + "\"}\r\n", "SSH-2.0-OpenSSH_9.6\r\n", "HTTP/1.1 fine\r\n\r\n", "HTTP/one 200 OK\r\n\r\n",
	} {
		var lc net.ListenConfig
		l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, banner)
			_, _ = io.Copy(io.Discard, c)
			_ = c.Close()
		}()
		base := "http://" + l.Addr().String()
		_, err = probe(t, base, Config{})
		if want := "get_room_list " + base + ": the answer is not HTTP: another kind of server is there"; err == nil || err.Error() != want {
			t.Errorf("error %v, want %s", err, want)
		}
		_ = l.Close()
	}
}
