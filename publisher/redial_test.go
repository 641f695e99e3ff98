package publisher

import (
	"strings"
	"testing"
	"time"

	"roomwatch/publisher/natsconn"
	"roomwatch/publisher/natstest"
	"roomwatch/publisher/streams"
)

// A server whose limit is lowered while roomwatch is connected ends the
// connection with an error that the client library takes for its end. Another
// one is made, the log says what is wrong, and nothing is skipped.
func TestConnectionClosedForGood(t *testing.T) {
	natstest.Run(t, func(t *testing.T, s *natstest.Server) {
		witness := s.Connect()
		conn, err := natsconn.Connect(t.Context(), natsconn.Config{InProcess: s})
		if err != nil {
			t.Fatal(err)
		}
		first := conn.Client()
		b := newBox("E1")
		r := startWith(t, Config{Conn: conn, Outbox: b})
		defer func() { _ = r.stop(); conn.Close() }()
		b.add(3)
		pass(time.Minute)
		s.MaxPayload(2 * streams.LeastMessage)
		b.addRoom("big", strings.Repeat("x", 3*streams.LeastMessage))
		b.add(3)
		pass(time.Minute)
		if !first.IsClosed() || !r.Status().Connected {
			t.Fatalf("the first connection is closed: %v; %+v", first.IsClosed(), r.Status())
		}
		if err := r.Status().LastError; err == nil || !strings.Contains(err.Error(), "raise max_payload") {
			t.Errorf("last error %v", err)
		}
		for _, part := range []string{"closed the connection: nats: Maximum Payload Violation", "raise max_payload"} {
			if !strings.Contains(r.log.String(), part) {
				t.Errorf("the log lacks %q:\n%s", part, r.log)
			}
		}
		wantEvents(t, witness, 1, 3)
		s.MaxPayload(1 << 20)
		s.Down()
		s.Up()
		pass(time.Minute)
		if err := r.Status().LastError; err != nil {
			t.Error(err)
		}
		wantEvents(t, witness, 1, 7)
	})
}

// A connection that is closed while there is nothing to publish is noticed all
// the same, and NATS may be away when it is recreated.
func TestClosedWhileIdle(t *testing.T) {
	natstest.Run(t, func(t *testing.T, s *natstest.Server) {
		conn, err := natsconn.Connect(t.Context(), natsconn.Config{InProcess: s})
		if err != nil {
			t.Fatal(err)
		}
		first := conn.Client()
		b := newBox("E1")
		r := startWith(t, Config{Conn: conn, Outbox: b})
		defer func() { _ = r.stop(); conn.Close() }()
		pass(time.Minute)
		first.Close()
		s.Down()
		pass(time.Hour)
		if r.Status().LastError == nil || r.Status().Connected {
			t.Errorf("while NATS is away: %+v", r.Status())
		}
		s.Up()
		pass(time.Minute)
		b.add(3)
		pass(time.Minute)
		if got := r.Status(); got.LastError != nil || !got.Connected {
			t.Errorf("afterwards: %+v", got)
		}
		wantEvents(t, conn.Client(), 1, 3)
	})
}
