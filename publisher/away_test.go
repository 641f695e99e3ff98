package publisher

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"roomwatch/publisher/natstest"
)

// That NATS is away at the start is one line, with the reason and the mend, and
// there is no address of a connection that is none.
func TestAwayIsSaidOnce(t *testing.T) {
	s := serve(t, nil)
	url := s.ClientURL()
	s.Shutdown()
	s.WaitForShutdown()
	log := &logged{}
	nc, err := Connect(t.Context(), ConnectConfig{URL: url, Log: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if got := Server(nc); got != "" {
		t.Errorf("connected to %q", got)
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(30 * time.Second); nc.Stats().Reconnects == 0 && strings.Count(log.String(), "refused") == 0; {
		select {
		case <-tick.C:
		case <-late:
			t.Fatal(log)
		}
	}
	for range 300 { // and as many tries as fit into 3 s
		<-tick.C
	}
	if told := log.String(); strings.Count(told, "\n") != 1 || !strings.Contains(told, "nats away") || !strings.Contains(told, "NATS_URL") {
		t.Errorf("told:\n%s", told)
	}
}

// What waits while NATS is away waits for the connection, not for a buffer.
func TestAwayIsNoBuffer(t *testing.T) {
	bubble(t, func(t *testing.T, s *natstest.Server, nc *nats.Conn, b *box) {
		r := start(t, nc, b)
		b.add(3)
		pass(time.Second)
		s.Down()
		b.add(3)
		pass(time.Minute)
		if err := r.Status().LastError; err == nil || err.Error() != "NATS is not connected" {
			t.Errorf("last error %v\n%s", err, r.log)
		}
		s.Up()
		pass(time.Minute)
		if err := r.Status().LastError; err != nil {
			t.Error(err)
		}
		wantEvents(t, nc, 1, 6)
	})
}
