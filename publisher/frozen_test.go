package publisher

import (
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"roomwatch/publisher/natsconn"
	"roomwatch/publisher/natstest"
)

// A freezer is a network between client and server that can stop to take
// anything, as one does that swallows packets when the buffers are full.
type freezer struct {
	server *server.Server
	flow   sync.RWMutex // held for writing while it is frozen
}

func (f *freezer) InProcessConn() (net.Conn, error) {
	there, err := f.server.InProcessConn()
	if err != nil {
		return nil, err
	}
	client, here := net.Pipe()
	go f.copy(there, here)
	go f.copy(here, there)
	return client, nil
}

func (f *freezer) copy(to, from net.Conn) {
	defer func() { _, _ = to.Close(), from.Close() }()
	buf := make([]byte, 4096)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		f.flow.RLock()
		_, err = to.Write(buf[:n])
		f.flow.RUnlock()
		if err != nil {
			return
		}
	}
}

// A network that takes nothing any more keeps neither the stop waiting nor who
// asks how things are, and nothing is lost or doubled by it.
func TestNetworkFreezes(t *testing.T) {
	f := &freezer{server: natstest.Start(t, nil)}
	conn, err := natsconn.Connect(t.Context(), natsconn.Config{InProcess: f})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	b := newBox("E1")
	r := startWith(t, Config{Conn: conn, Outbox: b})
	<-r.Recovered()
	f.flow.Lock()
	const n = 200
	b.mu.Lock()
	for range n {
		b.put("room", strings.Repeat("x", 1000)) // more than is written at once
	}
	b.mu.Unlock()
	<-time.After(500 * time.Millisecond) // the publish is under way
	began := time.Now()
	conn.IsConnected()
	if took := time.Since(began); took > 4*time.Second { // twice what the client waits for the network
		t.Errorf("IsConnected took %v", took)
	}
	if err := r.stop(); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > 9*time.Second {
		t.Errorf("Run ended after %v", took)
	}
	f.flow.Unlock()
	r = startWith(t, Config{Conn: conn, Outbox: b})
	waitStored(b)
	wantEvents(t, conn.Client(), 1, n)
	if err := r.stop(); err != nil {
		t.Error(err)
	}
}
