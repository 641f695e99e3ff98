package publisher

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"roomwatch/publisher/natstest"
)

// What waits while NATS is away waits for the connection, not for a buffer.
func TestAwayIsNoBuffer(t *testing.T) {
	bubble(t, func(t *testing.T, s *natstest.Server, nc *nats.Conn, b *box) {
		r := start(t, nc, b)
		b.add(3)
		pass(time.Second)
		s.Down()
		b.add(3)
		pass(time.Minute)
		if err := r.Status().LastError; err == nil || err.Error() != "NATS is not connected" {
			t.Errorf("last error %v\n%s", err, r.log)
		}
		s.Up()
		pass(time.Minute)
		if err := r.Status().LastError; err != nil {
			t.Error(err)
		}
		wantEvents(t, nc, 1, 6)
	})
}
