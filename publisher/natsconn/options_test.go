package natsconn

import (
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"roomwatch/diff/logtest"
	"roomwatch/publisher/natstest"
)

// What is published while NATS is away is refused. The client would send it
// later otherwise, when the stream has not been asked again.
func TestNothingIsSentLater(t *testing.T) {
	natstest.Run(t, func(t *testing.T, s *natstest.Server) {
		conn, err := Connect(t.Context(), Config{InProcess: s})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		s.Down()
		pass(time.Minute)
		if err := conn.Client().Publish("live.late", nil); !errors.Is(err, nats.ErrReconnectBufExceeded) {
			t.Errorf("Publish while NATS is away: %v", err)
		}
	})
}

// A doorman lets clients in, or does not.
type doorman struct {
	open    atomic.Bool
	refused atomic.Int64
}

func (d *doorman) Check(server.ClientAuthentication) bool {
	if !d.open.Load() {
		d.refused.Add(1)
	}
	return d.open.Load()
}

// Credentials that are refused repeatedly may be let in after that: the
// account's server is back, or somebody has corrected the password there.
func TestRefusedAgainAndAgain(t *testing.T) {
	var door doorman
	door.open.Store(true)
	s := natstest.Start(t, func(o *server.Options) { o.CustomClientAuthentication = &door })
	var log logtest.Buffer
	conn, err := Connect(t.Context(), Config{URL: s.ClientURL(), Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	door.open.Store(false)
	id, err := conn.Client().GetClientID()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.DisconnectClientByID(id); err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !conn.IsConnected() && !conn.IsClosed() || door.refused.Load() == 0 {
		if door.refused.Load() >= 2 {
			door.open.Store(true)
		}
		<-tick.C
	}
	if conn.IsClosed() {
		t.Errorf("closed after %d refusals", door.refused.Load())
	}
	if text := log.String(); strings.Count(text, "NATS refuses the credentials") != 1 || strings.Contains(text, "nats reports an error") || !strings.Contains(text, "set NATS_CREDS") {
		t.Errorf("the log has to say once that the credentials are refused, and the fix:\n%s", text)
	}
}
