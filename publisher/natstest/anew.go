package natstest

import (
	"path/filepath"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
)

// AllowAnew lets a test delete a stream and make it again at once, outside a
// bubble. When the last stream of an account is deleted, the server answers and
// then removes the directory of its streams. A stream that is made meanwhile is
// refused ("error creating store for stream"), since its own directory has lost
// the one above it. A second stream keeps that one in place.
func AllowAnew(t testing.TB, js jetstream.JetStream) {
	t.Helper()
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "PLACE", Subjects: []string{"place.>"}}); err != nil {
		t.Fatal(err)
	}
}

// StreamPath is where the server keeps the files of a stream.
func (s *Server) StreamPath(name string) string {
	return filepath.Join(s.dir, server.JetStreamStoreDir, "$G", "streams", name)
}
