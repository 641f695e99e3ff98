package natsconn

import (
	"errors"
	"testing"
	"time"

	"roomwatch/publisher/natstest"
)

// While a message is on its way the client makes no new connection, so that the
// message cannot be written to a server that nobody has asked what it has.
func TestGate(t *testing.T) {
	natstest.Run(t, func(t *testing.T, s *natstest.Server) {
		conn, err := Connect(t.Context(), Config{InProcess: s})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		lost := 0
		release := conn.Hold(func() { lost++ })
		s.Down()
		s.Up()
		pass(time.Minute)
		if conn.IsConnected() || lost != 1 {
			t.Errorf("while the gate is held: connected %t, told %d times that it is lost", conn.IsConnected(), lost)
		}
		release()
		pass(time.Minute)
		if !conn.IsConnected() {
			t.Error("the gate was released, and the client is not connected")
		}
	})
}

// A dialer has the gate of its connection.
func TestDialerGate(t *testing.T) {
	srv := natstest.Start(t, nil)
	conn, err := Connect(t.Context(), Config{URL: srv.ClientURL()})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	dial := func() error {
		conn, err := conn.Client().Opts.CustomDialer.Dial("tcp", srv.Addr().String())
		if err == nil {
			err = conn.Close()
		}
		return err
	}
	release := conn.Hold(func() {})
	if err := dial(); !errors.Is(err, errHeld) {
		t.Errorf("while the gate is held: %v", err)
	}
	release()
	if err := dial(); err != nil {
		t.Error(err)
	}
}
