package publisher

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"roomwatch/publisher/natstest"
)

// While a message is on its way the client makes no new connection, so that the
// message cannot be written to a server that nobody has asked what it has.
func TestGate(t *testing.T) {
	natstest.Run(t, func(t *testing.T, s *natstest.Server) {
		nc, err := Connect(t.Context(), ConnectConfig{InProcess: s})
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		lost := 0
		g := gateOf(nc)
		g.hold(func() { lost++ })
		s.Down()
		s.Up()
		pass(time.Minute)
		if nc.IsConnected() || lost != 1 {
			t.Errorf("while the gate is held: connected %t, told %d times that it is lost", nc.IsConnected(), lost)
		}
		g.release()
		pass(time.Minute)
		if !nc.IsConnected() {
			t.Error("the gate was released, and the client is not connected")
		}
	})
}

// A dialer has the gate of its connection.
func TestDialerGate(t *testing.T) {
	srv := natstest.Start(t, nil)
	nc, err := Connect(t.Context(), ConnectConfig{URL: srv.ClientURL()})
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	dial := func() error {
		conn, err := nc.Opts.CustomDialer.Dial("tcp", srv.Addr().String())
		if err == nil {
			err = conn.Close()
		}
		return err
	}
	g := gateOf(nc)
	g.hold(func() {})
	if err := dial(); !errors.Is(err, errHeld) {
		t.Errorf("while the gate is held: %v", err)
	}
	g.release()
	if err := dial(); err != nil {
		t.Error(err)
	}
}

// A message whose connection is lost is not waited for: its answer cannot come.
func TestPublishLosesItsConnection(t *testing.T) {
	natstest.Run(t, func(t *testing.T, s *natstest.Server) {
		witness := s.Connect()
		var c cut
		s.Tap(c.tap)
		nc, err := Connect(t.Context(), ConnectConfig{InProcess: s})
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		b := newBox("E1")
		r := start(t, nc, b)
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

// Of a connection that is closed for good while a message is on its way the log
// says just that.
func TestPublishOverAClosedConnection(t *testing.T) {
	natstest.Run(t, func(t *testing.T, s *natstest.Server) {
		witness := s.Connect()
		var c cut
		s.Tap(c.tap)
		connect := func(ctx context.Context) (*nats.Conn, error) { return Connect(ctx, ConnectConfig{InProcess: s}) }
		first, err := connect(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		b := newBox("E1")
		r := startWith(t, Config{Conn: first, Outbox: b, Redial: connect})
		defer func() { _ = r.stop(); r.Conn().Close() }()
		pass(time.Minute)
		c.answers.Store(true)
		b.add(1)
		pass(time.Second)
		c.answers.Store(false)
		first.Close()
		pass(time.Minute)
		if log := r.log.String(); strings.Count(log, "condition=failing") != 1 || !strings.Contains(log, "NATS has closed the connection") {
			t.Errorf("the log does not say once that the connection is closed:\n%s", log)
		}
		wantEvents(t, witness, 1, 1)
	})
}
