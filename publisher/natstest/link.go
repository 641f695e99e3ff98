package natstest

import (
	"context"
	"net"
	"strings"
	"sync"
	"testing"
)

// A Trouble is what a network does to its connections.
type Trouble int

const (
	// None carries everything.
	None Trouble = iota
	// Held lets what is sent wait; it arrives afterwards.
	Held
	// Lost loses what is sent, and neither end hears of it. A connection that has lost
	// something is closed afterwards.
	Lost
	// Cut closes the connections, and those that are made.
	Cut
)

func (t Trouble) String() string { return [...]string{"none", "held", "lost", "cut"}[t] }

// A Link is the network between one program and NATS servers, outside any bubble.
type Link struct {
	urls []string
	wg   sync.WaitGroup

	mu      sync.Mutex
	trouble Trouble
	changed chan struct{} // closed at the next change
	conns   map[*linkConn]bool
}

// A linkConn is a connection of a program with a server.
type linkConn struct {
	client, server net.Conn
	lossy          bool // it has lost something
}

func (c *linkConn) close() { _, _ = c.client.Close(), c.server.Close() }

// NewLink returns a link to the servers at the urls, until the end of the test.
func NewLink(t testing.TB, urls ...string) *Link {
	t.Helper()
	l := &Link{changed: make(chan struct{}), conns: map[*linkConn]bool{}}
	var listeners []net.Listener
	for _, to := range urls {
		var lc net.ListenConfig
		listener, err := lc.Listen(context.Background(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		listeners = append(listeners, listener)
		l.urls = append(l.urls, "nats://"+listener.Addr().String())
		l.wg.Go(func() { l.accept(listener, strings.TrimPrefix(to, "nats://")) })
	}
	t.Cleanup(func() {
		for _, listener := range listeners {
			_ = listener.Close()
		}
		l.Set(Cut)
		l.wg.Wait()
	})
	return l
}

// URL is what the program connects to.
func (l *Link) URL() string { return strings.Join(l.urls, ",") }

// Set changes what is wrong from now on.
func (l *Link) Set(to Trouble) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.trouble = to
	close(l.changed)
	l.changed = make(chan struct{})
	for c := range l.conns {
		if to == Cut || c.lossy && to != Lost {
			c.close()
		}
	}
}

func (l *Link) accept(listener net.Listener, to string) {
	for {
		client, err := listener.Accept()
		if err != nil {
			return
		}
		l.wg.Go(func() { l.serve(client, to) })
	}
}

func (l *Link) serve(client net.Conn, to string) {
	server, err := net.Dial("tcp", to) //nolint:noctx // loopback
	if err != nil {
		_ = client.Close()
		return
	}
	c := &linkConn{client: client, server: server}
	defer c.close()
	l.mu.Lock()
	cut := l.trouble == Cut
	l.conns[c] = true
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.conns, c)
	}()
	if cut {
		return
	}
	var wg sync.WaitGroup
	wg.Go(func() { l.carry(c, server, client) })
	wg.Go(func() { l.carry(c, client, server) })
	wg.Wait()
}

func (l *Link) carry(c *linkConn, to, from net.Conn) {
	defer c.close()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if !l.passes(c, n) {
			continue
		}
		if err != nil {
			return
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

// passes waits until so many bytes of a connection may go on, and reports whether they
// do. Its end, which is no bytes, is not heard of while something is wrong.
func (l *Link) passes(c *linkConn, n int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.trouble == Held || l.trouble == Lost && n == 0 {
		changed := l.changed
		l.mu.Unlock()
		<-changed
		l.mu.Lock()
	}
	if l.trouble == Lost {
		c.lossy = true
		return false
	}
	return true
}
