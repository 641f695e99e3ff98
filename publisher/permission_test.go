package publisher

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"roomwatch/publisher/natsconn"
	"roomwatch/publisher/natstest"
)

// tapped is a server behind a network that can lose what is sent.
type tapped struct {
	*server.Server
	net *natstest.Leaderless
}

func (s tapped) InProcessConn() (net.Conn, error) {
	conn, err := s.Server.InProcessConn()
	if err != nil {
		return nil, err
	}
	return s.net.Tap(conn)
}

// A question that NATS does not answer is missing a permission only if NATS has
// said so of this question, not of one before it on the same connection.
func TestMissingPermissionIsThatOfTheQuestion(t *testing.T) {
	deny := func(subjects ...string) *server.SubjectPermission { return &server.SubjectPermission{Deny: subjects} }
	tests := []struct {
		name    string
		allowed server.Permissions
		slow    bool // NATS does not answer, for another reason
		want    bool
	}{
		{name: "an earlier one, and NATS is slow", allowed: server.Permissions{Publish: deny("elsewhere")}, slow: true},
		{name: "its own", allowed: server.Permissions{Publish: deny("elsewhere", "$JS.API.STREAM.>")}, want: true},
		{name: "no answer is allowed", allowed: server.Permissions{Subscribe: deny("_INBOX.>")}, want: true},
	}
	questions := map[string]func(context.Context, *session) error{
		"the last message": func(ctx context.Context, s *session) error {
			_, err := s.last(ctx, "live.>")
			return err
		},
		"the stream": func(ctx context.Context, s *session) error {
			_, err := Inspect(ctx, s.conn, live, app)
			return err
		},
		"its history": func(ctx context.Context, s *session) error { return s.lookForLoss(ctx) },
		"preflight": func(ctx context.Context, s *session) error {
			_, _, err := s.stream.preflight(ctx, s.conn, s.js, app, 0)
			return err
		},
		"a claim": func(_ context.Context, s *session) error {
			return s.explain(s.conn.Ask(), context.DeadlineExceeded)
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, func(o *server.Options) {
				o.Users = []*server.User{{Username: "u", Password: "p", Permissions: &tt.allowed}}
			})
			lossy := &natstest.Leaderless{}
			conn, err := natsconn.Connect(t.Context(), natsconn.Config{InProcess: tapped{s, lossy}, User: "u", Password: "p"})
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			nc := conn.Client()
			p, err := New(Config{Conn: conn, Outbox: newBox("E1"), Stream: live, SDKAppID: app})
			if err != nil {
				t.Fatal(err)
			}
			session, err := p.newSession(legacy{})
			if err != nil {
				t.Fatal(err)
			}
			if err := nc.Publish("elsewhere", nil); err != nil {
				t.Fatal(err)
			}
			if err := nc.Flush(); err != nil {
				t.Fatal(err)
			}
			if tt.slow {
				if !errors.Is(nc.LastError(), nats.ErrPermissionViolation) {
					t.Fatalf("the connection's last error is %v", nc.LastError())
				}
				lossy.Lose("$JS.API.")
			}
			for name, question := range questions {
				if name == "a claim" && tt.want {
					continue // it asks nothing here
				}
				ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
				err := question(ctx, session)
				cancel()
				if got := errors.Is(err, nats.ErrPermissionViolation); err == nil || got != tt.want {
					t.Errorf("%s: %v; want a missing permission: %t", name, err, tt.want)
				}
			}
		})
	}
}
