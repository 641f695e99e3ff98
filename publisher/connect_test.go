package publisher

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"roomwatch/publisher/natsconn"
	"roomwatch/publisher/natstest"
)

// serve starts a server on a port of its own.
func serve(t testing.TB, edit func(*server.Options)) *server.Server { return natstest.Start(t, edit) }

func TestNoPermission(t *testing.T) {
	s := serve(t, func(o *server.Options) {
		o.Users = []*server.User{{Username: "u", Password: "p", Permissions: &server.Permissions{
			Publish: &server.SubjectPermission{Allow: []string{"$JS.API.>"}},
		}}}
	})
	conn, err := natsconn.Connect(t.Context(), natsconn.Config{URL: s.ClientURL(), User: "u", Password: "p"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	b := newBox("E1")
	r := startWith(t, Config{Conn: conn, Outbox: b})
	for r.Status().LastError == nil {
		select {
		case <-r.done:
			t.Fatal(r.err)
		case <-time.After(20 * time.Millisecond):
		}
	}
	if err := r.Status().LastError; !errors.Is(err, nats.ErrPermissionViolation) || !strings.Contains(err.Error(), "live.writer.claimed") {
		t.Errorf("last error %v", err)
	}
}

// On a real socket: all is stored, nothing leaks, metrics are as they should be.
func TestRunOnASocket(t *testing.T) {
	before := goleak.IgnoreCurrent()
	s := serve(t, nil)
	conn, err := natsconn.Connect(t.Context(), natsconn.Config{URL: s.ClientURL()})
	if err != nil {
		t.Fatal(err)
	}
	b := newBox("E1")
	r := startWith(t, Config{Conn: conn, Outbox: b})
	<-r.Recovered()
	b.add(2500)
	waitStored(b)
	if err := r.stop(); err != nil {
		t.Error(err)
	}
	wantEvents(t, conn.Client(), 1, 2500)
	conn.Close()
	s.Shutdown()
	s.WaitForShutdown()
	goleak.VerifyNone(t, before, goleak.IgnoreAnyFunction("github.com/nats-io/nats-server/v2/server/ats.Register.func1"))
}

// waitStored returns when all is stored; a test that hangs here has failed.
func waitStored(b *box) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		if _, stored, assigned := b.Position(); stored == assigned {
			return
		}
		<-tick.C
	}
}

// BenchmarkRelay stores b.N events through a real server on a socket.
func BenchmarkRelay(b *testing.B) {
	for _, batches := range []bool{true, false} {
		name := "batches"
		if !batches {
			name = "singles"
		}
		b.Run(name, func(b *testing.B) {
			conn, err := natsconn.Connect(b.Context(), natsconn.Config{URL: serve(b, nil).ClientURL()})
			if err != nil {
				b.Fatal(err)
			}
			defer conn.Close()
			stream(b, conn.Client(), func(c *jetstream.StreamConfig) { c.AllowAtomicPublish = batches })
			out := newBox("E1")
			r := startWith(b, Config{Conn: conn, Outbox: out})
			<-r.Recovered()
			b.ResetTimer()
			out.add(b.N)
			waitStored(out)
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}
