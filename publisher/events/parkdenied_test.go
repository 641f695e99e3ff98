package events_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/diff/logtest"
	"roomwatch/publisher/events"
	"roomwatch/publisher/natstest"
)

// A user who may not publish to the subject of parked events is told of the
// permission: NATS does not answer, and all that is seen otherwise is a time-out.
func TestParkWithoutPermission(t *testing.T) {
	srv := natstest.Start(t, func(o *server.Options) {
		o.Users = []*server.User{
			{Username: "admin", Password: "a"},
			{Username: "subscriber", Password: "s", Permissions: &server.Permissions{Publish: &server.SubjectPermission{Deny: []string{"parked.>"}}}},
		}
	})
	connect := func(user, password string) jetstream.JetStream {
		nc, err := nats.Connect(srv.ClientURL(), nats.UserInfo(user, password), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(nc.Close)
		js, err := jetstream.New(nc)
		if err != nil {
			t.Fatal(err)
		}
		return js
	}
	admin := connect("admin", "a")
	for name, subject := range map[string]string{"LIVE": "live.>", "PARKED": "parked.>"} {
		if _, err := admin.CreateStream(t.Context(), jetstream.StreamConfig{Name: name, Subjects: []string{subject}}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := admin.Publish(t.Context(), "live.room.created.1.x", []byte("no event")); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	log := &logtest.Buffer{}
	ended := make(chan error, 1)
	go func() {
		ended <- events.Subscribe(ctx, connect("subscriber", "s"), events.Options{Durable: "greeter", Park: "parked.greeter", Log: slog.New(slog.NewTextHandler(log, nil))},
			func(context.Context, events.Event) error { return nil })
	}()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(30 * time.Second); !strings.Contains(log.String(), "event cannot be parked"); {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("nothing is said:\n%s", log)
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if text := log.String(); !strings.Contains(text, `Publish to \"parked.greeter\"`) || !strings.Contains(text, "ask the account administrator") {
		t.Errorf("log:\n%s", text)
	}
}
