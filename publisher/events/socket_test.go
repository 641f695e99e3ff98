package events_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"roomwatch/publisher/events"
	"roomwatch/publisher/natstest"
)

// Over a real socket, with a real restart on the same files and port: all is
// done once and in order, and no goroutine is left.
func TestOverSockets(t *testing.T) {
	dir, port := t.TempDir(), -1
	start := func() *server.Server {
		s := natstest.Start(t, func(o *server.Options) { o.StoreDir, o.Port = dir, port })
		return s
	}
	srv := start()
	port = portOf(t, srv)
	nc, err := nats.Connect(srv.ClientURL(), nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, epoch: "A", nc: nc, js: js, of: map[string]uint64{}}
	r.makeStream("LIVE", "live.>")
	before := goleak.IgnoreCurrent()
	w, b := &worker{}, &board{}
	stop := r.subscribe(events.Options{AckWait: 3 * time.Second}, w.handle)
	unfollow := r.follow(events.Options{}, b.tell)
	for range 3 {
		for range 50 {
			r.put("a", "b")
		}
		srv.Shutdown()
		srv.WaitForShutdown()
		srv = start()
		reconnected(t, nc)
	}
	r.put("z")
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	for b.version("z") != 1 || w.inOrder("z") != "z1" || len(w.did()) < 301 {
		select {
		case <-ctx.Done():
			t.Fatalf("%d done; told %s", len(w.did()), b.text())
		case <-time.After(20 * time.Millisecond):
		}
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	if err := unfollow(); err != nil {
		t.Error(err)
	}
	if w.inOrder("a") != chain("a", 150) || w.inOrder("b") != chain("b", 150) {
		t.Errorf("done %v", w.did())
	}
	if got := b.text(); strings.Contains(got, "does not follow") || strings.Count(got, "begin") != 1 {
		t.Errorf("told %s", got)
	}
	nc.Close()
	srv.Shutdown()
	srv.WaitForShutdown()
	goleak.VerifyNone(t, before, goleak.IgnoreAnyFunction("github.com/nats-io/nats-server/v2/server/ats.Register.func1"))
}

func portOf(t *testing.T, s *server.Server) int {
	t.Helper()
	var port int
	if _, err := fmt.Sscanf(s.ClientURL(), "nats://127.0.0.1:%d", &port); err != nil {
		t.Fatal(err)
	}
	return port
}

func reconnected(t *testing.T, nc *nats.Conn) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !nc.IsConnected(); <-time.After(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("never connected again")
		}
	}
}
