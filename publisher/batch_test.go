package publisher

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"roomwatch/publisher/natsconn"
	"roomwatch/publisher/natstest"
)

// A batch that is on its way when the process is told to stop is finished, and
// what came of it is known.
func TestBatchInFlightIsFinished(t *testing.T) {
	natstest.Run(t, func(t *testing.T, s *natstest.Server) {
		witness := s.Connect()
		ctx, stop := context.WithCancel(t.Context())
		s.Tap(func(conn net.Conn) (net.Conn, error) {
			return &watchedConn{Conn: conn, what: "HPUB live.viewcount.", do: stop}, nil
		})
		b := newBox("E1")
		b.add(5)
		p, err := New(Config{Conn: natsconn.Of(s.Connect()), Outbox: b, Stream: live, SDKAppID: app})
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Run(ctx, 0); err != nil {
			t.Error(err)
		}
		if _, stored, _ := b.Position(); stored != 5 {
			t.Errorf("%d events are known to be stored, want 5", stored)
		}
		wantEvents(t, witness, 1, 5)
	})
}

// The server holds a batch in its memory: large events come in more batches.
func TestBatchesOfLargeEvents(t *testing.T) {
	bubble(t, func(t *testing.T, _ *natstest.Server, nc *nats.Conn, b *box) {
		const n, size = 500, 10_000
		for range n {
			b.addRoom("room", strings.Repeat("x", size))
		}
		r := start(t, nc, b)
		pass(time.Minute)
		wantEvents(t, nc, 1, n)
		if got := testutil.ToFloat64(r.metrics.batches.WithLabelValues(string(stored))); got < n*size/batchBytes {
			t.Errorf("%v batches for %d bytes", got, n*size)
		}
	})
}
