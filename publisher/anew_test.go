package publisher

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/publisher/natstest"
)

// The server cannot make the files of the stream for a moment, as while it still
// removes those of one that was deleted: the stream is made a moment later, at
// the first contact and underway.
func TestStreamCannotBeMadeForAMoment(t *testing.T) {
	bubble(t, func(t *testing.T, s *natstest.Server, nc *nats.Conn, b *box) {
		block(t, s.StreamPath(live.Name))
		r := start(t, nc, b)
		b.add(2)
		pass(time.Second)
		wantEvents(t, nc, 1, 2)
		js, err := jetstream.New(nc)
		if err != nil {
			t.Fatal(err)
		}
		if err := js.DeleteStream(t.Context(), live.Name); err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // the server answers, and then removes the files
		block(t, s.StreamPath(live.Name))
		b.add(2)
		pass(time.Minute)
		wantEvents(t, nc, 3, 4)
		if err := r.Status().LastError; err != nil {
			t.Errorf("last error %v", err)
		}
		if log := r.log.String(); strings.Count(log, "error creating store for stream") != 2 || strings.Count(log, "it is retried") != 2 {
			t.Errorf("two refusals:\n%s", log)
		}
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	})
}

// block puts a file where the server wants a directory. The attempt that it fails
// removes it.
func block(t *testing.T, path string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
}
