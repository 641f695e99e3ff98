package natstest

import (
	"bytes"
	"net"
	"sync"
)

// A Leaderless is a network on which requests of clients are lost, as those to a
// JetStream without a leader are. The zero value loses none.
type Leaderless struct {
	mu    sync.Mutex
	words []string
	conns []net.Conn
}

// Tap is for [Server.Tap].
func (l *Leaderless) Tap(conn net.Conn) (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conns = append(l.conns, conn)
	return &leaderlessConn{conn, l}, nil
}

// Lose loses what is sent from now on and has one of the words, such as
// "CONSUMER.CREATE"; without words nothing.
func (l *Leaderless) Lose(words ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.words = words
}

// Cut is Lose, and closes the connections: the clients come back at once.
func (l *Leaderless) Cut(words ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.words = words
	for _, c := range l.conns {
		_ = c.Close()
	}
	l.conns = nil
}

func (l *Leaderless) loses(b []byte) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, w := range l.words {
		if bytes.Contains(b, []byte(w)) {
			return true
		}
	}
	return false
}

type leaderlessConn struct {
	net.Conn
	l *Leaderless
}

func (c *leaderlessConn) Write(b []byte) (int, error) {
	if c.l.loses(b) {
		return len(b), nil
	}
	return c.Conn.Write(b)
}
