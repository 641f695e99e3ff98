package natsconn

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// TestListener: each message is heard once, also over a connection that took the place
// of one that was closed permanently.
func TestListener(t *testing.T) {
	s := serve(t, nil)
	conn, err := Connect(t.Context(), Config{URL: s.ClientURL()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	heard := make(chan string, 10)
	l := conn.Listener("peers", func(m *nats.Msg) { heard <- string(m.Data) })
	keep := func() {
		t.Helper()
		for range 2 { // the second does not subscribe again
			if err := l.Keep(); err != nil {
				t.Fatal(err)
			}
		}
	}
	// say publishes over the listener's own connection, so that it comes after the subscription.
	say := func(what string) {
		t.Helper()
		if err := conn.Client().Publish("peers", []byte(what)); err != nil {
			t.Fatal(err)
		}
		if err := conn.Client().Flush(); err != nil {
			t.Fatal(err)
		}
	}
	hears := func(want string) {
		t.Helper()
		select {
		case got := <-heard:
			if got != want {
				t.Errorf("heard %q, want %q", got, want)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("%q was not heard", want)
		}
	}

	keep()
	say("first")
	say("second")
	hears("first")
	hears("second")

	conn.Client().Close()
	if err := l.Keep(); err == nil {
		t.Error("a closed connection was subscribed to")
	}
	if err := conn.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	keep()
	say("third")
	hears("third")

	l.End()
	say("fourth")
	if n := conn.Client().NumSubscriptions(); n != 0 {
		t.Errorf("%d subscriptions are left", n)
	}
}
