package natstest

import (
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Live returns the JetStream of a client, in which it makes the stream LIVE for all
// that roomwatch publishes with its defaults.
func Live(t testing.TB, nc *nats.Conn) jetstream.JetStream {
	t.Helper()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "LIVE", Subjects: []string{"live.>"}}); err != nil {
		t.Fatal(err)
	}
	return js
}
