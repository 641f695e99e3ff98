package natstest

import (
	"context"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
)

// A Tap stands between a program and its NATS server, and sees every byte.
type Tap struct {
	listener net.Listener
	server   string

	mu   sync.Mutex
	hook func(fromClient bool, chunk []byte) (forward []byte) // nil: forward everything
}

// NewTap returns a tap before the server at url, until the end of the test.
func NewTap(t testing.TB, url string) *Tap {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Tap{listener: l, server: strings.TrimPrefix(url, "nats://")}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { p.serve(c) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		wg.Wait()
	})
	return p
}

// URL is where the program connects to.
func (p *Tap) URL() string { return "nats://" + p.listener.Addr().String() }

// Watch calls hook for every chunk from now on; it returns what is forwarded.
func (p *Tap) Watch(hook func(fromClient bool, chunk []byte) []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hook = hook
}

// Report puts an error that the client library does not know before the next
// message for the program, once: the library ends the connection permanently. reported
// is closed then.
func (p *Tap) Report() (reported <-chan struct{}) {
	done := make(chan struct{})
	once := false
	p.Watch(func(fromClient bool, chunk []byte) []byte {
		// Nothing may come between the parts of a message.
		text := string(chunk)
		if fromClient || once || !strings.HasPrefix(text, "MSG ") && !strings.HasPrefix(text, "HMSG ") {
			return chunk
		}
		once = true
		close(done)
		return slices.Concat([]byte("-ERR 'Never Heard Of'\r\n"), chunk)
	})
	return done
}

func (p *Tap) serve(client net.Conn) {
	server, err := net.Dial("tcp", p.server) //nolint:noctx // loopback
	if err != nil {
		_ = client.Close()
		return
	}
	var wg sync.WaitGroup
	wg.Go(func() { p.copy(server, client, true) })
	wg.Go(func() { p.copy(client, server, false) })
	wg.Wait()
}

func (p *Tap) copy(to, from net.Conn, fromClient bool) {
	defer func() { _, _ = to.Close(), from.Close() }()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		chunk := buf[:n]
		p.mu.Lock()
		if p.hook != nil {
			chunk = p.hook(fromClient, chunk)
		}
		p.mu.Unlock()
		if _, err := to.Write(chunk); err != nil {
			return
		}
	}
}
