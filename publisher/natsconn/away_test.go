package natsconn

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"roomwatch/diff/logtest"
	"roomwatch/publisher/natstest"
)

// That NATS is away at the start is one line, with the reason and the fix, and
// there is no address of a connection that is none.
func TestAwayIsSaidOnce(t *testing.T) {
	s := serve(t, nil)
	url := s.ClientURL()
	s.Shutdown()
	s.WaitForShutdown()
	log := &logtest.Buffer{}
	conn, err := Connect(t.Context(), Config{URL: url, Log: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if got := conn.Server(); got != "" {
		t.Errorf("connected to %q", got)
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(30 * time.Second); conn.Client().Stats().Reconnects == 0 && strings.Count(log.String(), "refused") == 0; {
		select {
		case <-tick.C:
		case <-late:
			t.Fatal(log)
		}
	}
	for range 300 { // and as many tries as fit into 3 s
		<-tick.C
	}
	if told := log.String(); strings.Count(told, "\n") != 1 || !strings.Contains(told, "NATS is not reachable") || !strings.Contains(told, "NATS_URL") {
		t.Errorf("told:\n%s", told)
	}
}

// An absence that lasts is in the newest lines of the log, too.
func TestLongAbsenceIsLoggedAgain(t *testing.T) {
	natstest.Run(t, func(t *testing.T, s *natstest.Server) {
		log := &logtest.Buffer{}
		conn, err := Connect(t.Context(), Config{InProcess: s, Log: slog.New(slog.NewTextHandler(log, nil))})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		s.Down()
		pass(time.Hour + time.Minute)
		if n := strings.Count(log.String(), "NATS is not reachable"); n < 4 || n > 6 || strings.Count(log.String(), "since=") != n {
			t.Errorf("an hour without NATS is logged %d times, want about 5:\n%s", n, log)
		}
	})
}
