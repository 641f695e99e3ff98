package main

import (
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/publisher/natstest"
)

const natsConfig = "../../deploy/nats/nats.conf"

// With the permissions of the example file roomaudit works. With any one less it
// ends, and says which permission lacks.
func TestLeastPermissions(t *testing.T) {
	natstest.LeastPermissions(t, natstest.Role{File: natsConfig, User: "roomaudit", Subjects: 4}, useEverything)
}

// useEverything lets roomaudit record, miss messages that are gone, and begin
// again where another stands. It returns what it said if it ended by itself.
func useEverything(t *testing.T, srv *server.Server) string {
	t.Helper()
	nc, err := nats.Connect(srv.ClientURL(), nats.UserInfo("admin", "pass"))
	must(t, err)
	defer nc.Close()
	js, err := jetstream.New(nc)
	must(t, err)
	s, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "LIVE", Subjects: []string{"live.>"}})
	must(t, err)
	publish := func(first uint64) {
		for n := first; n < first+5; n++ {
			_, err := js.Publish(t.Context(), "live.room.created.1400000000.x", event(n, "r", "n"))
			must(t, err)
		}
	}
	dir := t.TempDir()
	env := []string{"ROOMAUDIT_HTTP_ADDR=off", "ROOMAUDIT_DIR=" + dir, "NATS_URL=" + srv.ClientURL(), "NATS_USER=roomaudit", "NATS_PASSWORD=pass"}
	// A violation that NATS tells of on the way counts, too: it ends roomaudit.
	until := func(want int, acknowledged uint64) string {
		p := start(t, env, "run")
		for end := time.Now().Add(20 * time.Second); time.Now().Before(end); <-time.After(20 * time.Millisecond) {
			select {
			case <-p.exited:
				return p.out.String()
			default:
			}
			c, err := js.Consumer(t.Context(), "LIVE", "roomaudit")
			if err == nil && len(recorded(t, dir)) == want && c.CachedInfo().AckFloor.Stream == acknowledged {
				p.stop()
				return ""
			}
		}
		t.Errorf("it works neither, nor says why:\n%s", p.out)
		return ""
	}
	publish(1)
	if said := until(5, 5); said != "" {
		return said
	}
	publish(6)
	must(t, s.DeleteMsg(t.Context(), 7))
	if said := until(9, 10); said != "" {
		return said
	}
	// Somebody else has taken messages: the place is recreated.
	publish(11)
	c, err := js.Consumer(t.Context(), "LIVE", "roomaudit")
	must(t, err)
	batch, err := c.Fetch(2)
	must(t, err)
	for msg := range batch.Messages() {
		must(t, msg.DoubleAck(t.Context()))
	}
	return until(14, 15)
}
