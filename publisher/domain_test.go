package publisher

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/publisher/natsconn"
	"roomwatch/publisher/natstest"
)

// Through a leaf node that has a JetStream of its own, everything is asked of the
// domain that is named: the stream is made, read and written there alone.
func TestDomain(t *testing.T) {
	hub, leaf := natstest.Leaf(t)
	conn, err := natsconn.Connect(t.Context(), natsconn.Config{URL: leaf.ClientURL(), Domain: "hub"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if said := conn.Summary(); !strings.HasSuffix(said, ", JetStream domain hub: the `nats` commands below need --js-domain=hub") {
		t.Errorf("the connection is told as %q", said)
	}
	atHub, err := nats.Connect(hub.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	defer atHub.Close()
	if found, err := Inspect(t.Context(), conn, live, app); err != nil {
		t.Fatalf("%s, %v", found, err)
	}
	b := newBox("E1")
	b.add(50)
	old := newBox("E1") // a state that does not know that its events are stored
	old.events, old.assigned = slices.Clone(b.events), b.assigned
	r := startWith(t, Config{Conn: conn, Outbox: b})
	waitStored(b)
	if err := r.stop(); err != nil {
		t.Error(err)
	}
	wantEvents(t, atHub, 1, 50)

	// A start asks the stream which event it has last, and one whose state was lost
	// reads all of it.
	old.add(10)
	r = startWith(t, Config{Conn: conn, Outbox: old})
	waitStored(old)
	if err := r.stop(); err != nil || old.rebuilds > 0 {
		t.Errorf("%d rebuilds, %v", old.rebuilds, err)
	}
	wantEvents(t, atHub, 1, 60)
	lost := newBox("E2")
	r = startWith(t, Config{Conn: conn, Outbox: lost})
	<-r.Recovered()
	if err := r.stop(); err != nil || len(lost.rooms) != 10 {
		t.Errorf("%d rooms, %v", len(lost.rooms), err)
	}

	js, err := jetstream.New(conn.Client())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.Stream(t.Context(), live.Name); !errors.Is(err, jetstream.ErrStreamNotFound) {
		t.Errorf("the leaf node has the stream: %v", err)
	}
}
