package publisher

import (
	"errors"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"roomwatch/diff/logtest"
	"roomwatch/publisher/natsconn"
)

// NATS is away at the start and refuses the credentials when it comes: it is
// too late for a configuration error, but not silent, and its fix is noticed.
func TestRefusedLater(t *testing.T) {
	s := serve(t, nil)
	url := s.ClientURL()
	port := s.Addr().(*net.TCPAddr).Port
	stop := func(s *server.Server) { s.Shutdown(); s.WaitForShutdown() }
	stop(s)
	log := &logtest.Buffer{}
	conn, err := natsconn.Connect(t.Context(), natsconn.Config{URL: url, User: "u", Password: "s3cret", Log: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	b := newBox("E1")
	b.add(3)
	r := startWith(t, Config{Conn: conn, Outbox: b})
	with := func(password string) *server.Server {
		return serve(t, func(o *server.Options) { o.Port, o.Username, o.Password = port, "u", password })
	}
	other := with("another")
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	late := time.After(30 * time.Second)
	until := func(what string, done func() bool) {
		t.Helper()
		for !done() {
			select {
			case <-tick.C:
			case <-late:
				t.Fatalf("never: %s; %+v", what, r.Status())
			}
		}
	}
	until("an error", func() bool { return r.Status().LastError != nil })
	if err := r.Status().LastError; !errors.Is(err, natsconn.ErrAuth) || !strings.Contains(err.Error(), "NATS_PASSWORD") {
		t.Errorf("last error %v", err)
	}
	stop(other)
	with("s3cret")
	until("all stored", func() bool { return r.Status().LastError == nil && r.Status().Waiting == 0 })
	if !strings.Contains(log.String(), "NATS connected") {
		t.Errorf("its coming is not logged:\n%s", log)
	}
	if told := log.String() + r.log.String(); strings.Contains(told, "s3cret") {
		t.Errorf("tells a secret:\n%s", told)
	}
}
