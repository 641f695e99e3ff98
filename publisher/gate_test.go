package publisher

import (
	"strings"
	"testing"
	"time"

	"roomwatch/publisher/natsconn"
	"roomwatch/publisher/natstest"
)

// A message whose connection is lost is not waited for: its answer cannot come.
func TestPublishLosesItsConnection(t *testing.T) {
	natstest.Run(t, func(t *testing.T, s *natstest.Server) {
		witness := s.Connect()
		var c cut
		s.Tap(c.tap)
		conn, err := natsconn.Connect(t.Context(), natsconn.Config{InProcess: s})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		b := newBox("E1")
		r := startWith(t, Config{Conn: conn, Outbox: b})
		pass(time.Minute)
		c.answers.Store(true)
		b.add(1)
		pass(time.Second)
		s.Down()
		c.heal()
		s.Up()
		pass(requestTimeout / 2)
		if _, stored, _ := b.Position(); stored != 1 {
			t.Errorf("%d events are known to be stored, last error %v", stored, r.Status().LastError)
		}
		if log := r.log.String(); !strings.Contains(log, errAway.Error()) || strings.Contains(log, "canceled") {
			t.Errorf("the log does not say that NATS is away:\n%s", log)
		}
		wantEvents(t, witness, 1, 1)
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	})
}

// Of a connection that is closed permanently while a message is on its way the log
// says just that.
func TestPublishOverAClosedConnection(t *testing.T) {
	natstest.Run(t, func(t *testing.T, s *natstest.Server) {
		witness := s.Connect()
		var c cut
		s.Tap(c.tap)
		conn, err := natsconn.Connect(t.Context(), natsconn.Config{InProcess: s})
		if err != nil {
			t.Fatal(err)
		}
		first := conn.Client()
		b := newBox("E1")
		r := startWith(t, Config{Conn: conn, Outbox: b})
		defer func() { _ = r.stop(); conn.Close() }()
		pass(time.Minute)
		c.answers.Store(true)
		b.add(1)
		pass(time.Second)
		c.answers.Store(false)
		first.Close()
		pass(time.Minute)
		if log := r.log.String(); strings.Count(log, "publishing fails") != 1 || !strings.Contains(log, "NATS has closed the connection") {
			t.Errorf("the log does not say once that the connection is closed:\n%s", log)
		}
		wantEvents(t, witness, 1, 1)
	})
}
