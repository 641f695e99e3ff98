package web

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"roomwatch/cmd/internal/serve"
	"roomwatch/publisher/natsconn"
)

// A pipes is a listener without a network, so that a bubble holds both ends.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.done) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8080} }

// dial returns the client's end; it is closed when the test is over.
func (p *pipes) dial(t *testing.T) net.Conn {
	client, server := net.Pipe()
	p.conns <- server
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// servePipes lets a Server with a token answer inside of the bubble.
func servePipes(t *testing.T) *pipes {
	p := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	server := New(Config{
		Addr: "127.0.0.1:8080", Token: givenToken, Status: func() Status { return Status{} }, Metrics: prometheus.NewRegistry(),
		Conn: connection(t, natsconn.Config{}),
	})
	go func() { served <- server.Serve(ctx, p) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Errorf("Serve = %v", err)
		}
	})
	return p
}

// Without a token nobody holds a connection for longer than it takes to ask and
// to be answered.
func TestNobodyHoldsAConnection(t *testing.T) {
	const end = "Host: x\r\n\r\n"
	withBody := "Host: x\r\nContent-Length: 10\r\n\r\n"
	for _, tt := range []struct {
		name, send string
		each       time.Duration // between two bytes that are sent
		deaf       bool          // reads nothing until it is over
		answer     string        // how the answer begins
		within     time.Duration
	}{
		{name: "says nothing", within: serve.HeaderTimeout},
		{name: "half a header", send: "GET / HTTP/1.1\r\nHost", within: serve.HeaderTimeout},
		{name: "a byte a second", send: strings.Repeat("G", 30), each: time.Second, within: serve.HeaderTimeout},
		{name: "a body that does not come", send: "GET /api/v1/status HTTP/1.1\r\n" + withBody, answer: "HTTP/1.1 400", within: time.Second},
		{name: "a body that does not come, to a probe", send: "GET /healthz HTTP/1.1\r\n" + withBody, answer: "HTTP/1.1 400", within: time.Second},
		{name: "half a body", send: "GET / HTTP/1.1\r\n" + withBody + "12345", answer: "HTTP/1.1 400", within: time.Second},
		{name: "a long body", send: "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n", answer: "HTTP/1.1 400", within: time.Second},
		{name: "chunks that do not come", send: "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" + end, answer: "HTTP/1.1 400", within: time.Second},
		{name: "HEAD with a body", send: "HEAD / HTTP/1.1\r\n" + withBody, answer: "HTTP/1.1 400", within: time.Second},
		{name: "POST without its body", send: "POST / HTTP/1.1\r\n" + withBody, answer: "HTTP/1.1 405", within: time.Second},
		{name: "waits to be told to continue", send: "GET / HTTP/1.1\r\nExpect: 100-continue\r\n" + withBody, answer: "HTTP/1.1 400", within: time.Second},
		{name: "events with a body", send: "GET /api/v1/events HTTP/1.1\r\n" + withBody, answer: "HTTP/1.1 400", within: time.Second},
		{name: "HTTP/1.0", send: "GET /healthz HTTP/1.0\r\n\r\n", answer: "HTTP/1.0 200", within: time.Second},
		{name: "HTTP/1.0 with a body", send: "GET /healthz HTTP/1.0\r\n" + withBody, answer: "HTTP/1.0 400", within: time.Second},
		{name: "HTTP/1.0, kept", send: "GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", answer: "HTTP/1.0 200", within: serve.IdleTimeout},
		{name: "kept and silent", send: "GET /healthz HTTP/1.1\r\n" + end, answer: "HTTP/1.1 200", within: serve.IdleTimeout},
		{name: "kept, then half a header", send: "GET /healthz HTTP/1.1\r\n" + end + "GET /", answer: "HTTP/1.1 200", within: serve.HeaderTimeout},
		{name: "reads nothing", send: "GET / HTTP/1.1\r\n" + end, deaf: true, within: serve.WriteTimeout + serve.HeaderTimeout},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := servePipes(t).dial(t)
				begin := time.Now()
				var writing sync.WaitGroup
				defer writing.Wait()
				defer func() { _ = c.Close() }()
				writing.Go(func() { write(c, tt.send, tt.each) })
				if tt.deaf {
					time.Sleep(tt.within)
				}
				_ = c.SetReadDeadline(begin.Add(time.Hour))
				b, err := io.ReadAll(c)
				if took := time.Since(begin); took > tt.within || err != nil {
					t.Errorf("held for %v, %v; want at most %v", took, err, tt.within)
				}
				if !strings.HasPrefix(string(b), tt.answer) {
					t.Errorf("answer %q, want %q", b, tt.answer)
				}
			})
		})
	}
}

// write sends s at once, or a byte each while.
func write(c net.Conn, s string, each time.Duration) {
	if each == 0 {
		_, _ = io.WriteString(c, s) // the reader sees how it went
		return
	}
	for i := range s {
		if _, err := io.WriteString(c, s[i:i+1]); err != nil {
			return
		}
		time.Sleep(each)
	}
}

// However many hold a socket and say nothing, the number of connections is
// bounded and a probe is answered at once.
func TestConnectionsAreBounded(t *testing.T) {
	for name, send := range map[string]string{"silent": "", "idle": "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := servePipes(t)
				closed := make(chan struct{}, 1000)
				const many = serve.MaxConnections + 100
				for range many {
					c := p.dial(t)
					go func() {
						_, _ = io.Copy(io.Discard, c)
						closed <- struct{}{}
					}()
					write(c, send, 0)
					time.Sleep(time.Millisecond)
				}
				synctest.Wait()
				if got := many - len(closed); got != serve.MaxConnections {
					t.Errorf("%d connections are open, want %d", got, serve.MaxConnections)
				}
				begin := time.Now()
				c := p.dial(t)
				go write(c, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", 0)
				line, err := bufio.NewReader(c).ReadString('\n')
				if err != nil || !strings.Contains(line, "200") || time.Since(begin) > time.Second {
					t.Errorf("a probe: %q, %v after %v", line, err, time.Since(begin))
				}
			})
		})
	}
}

// While all connections are busy one more is closed, and does not wait.
func TestOneConnectionTooMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := servePipes(t)
		for range serve.MaxConnections {
			write(p.dial(t), "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 0) // and does not read the answer
		}
		synctest.Wait()
		begin := time.Now()
		c := p.dial(t)
		_, err := c.Read(make([]byte, 1))
		if !errors.Is(err, io.EOF) || time.Since(begin) > 0 {
			t.Errorf("one more: %v after %v", err, time.Since(begin))
		}
	})
}
