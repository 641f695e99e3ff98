package publisher

import (
	"errors"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/publisher/natsconn"
	"roomwatch/publisher/natstest"
)

// A server that does not know the fence would refuse every event, each for itself:
// the start and the check say so, before the stream is made there.
func TestOldServer(t *testing.T) {
	for version, old := range map[string]bool{
		"2.9.25": true, "2.10.29": true, "2.11.0": false, "2.15.2-RC.1": false, "3.0.0": false, "1.4.1": true, "": false, "devel": false,
	} {
		err := live.mayMake(version, "")
		if (err != nil) != old || old && (!errors.Is(err, ErrUnfit) || !strings.Contains(err.Error(), "nats-server "+version) || !strings.Contains(err.Error(), "2.11 or newer")) {
			t.Errorf("%s: %v", version, err)
		}
	}
	if err := live.mayMake("2.9.25", "hub"); err != nil {
		t.Errorf("a leaf node of a newer server: %v", err)
	}
	bubble(t, func(t *testing.T, _ *natstest.Server, nc *nats.Conn, _ *box) {
		made := stream(t, nc, nil).CachedInfo().Config
		if err := live.tooOld(natsconn.Of(nc), made); err != nil {
			t.Errorf("the stream of this server: %v", err)
		}
		if err := live.tooOld(natsconn.Of(nc), jetstream.StreamConfig{Name: "LIVE"}); !errors.Is(err, ErrUnfit) {
			t.Errorf("the stream of an old server: %v", err)
		}
	})
}
