package publisher

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"roomwatch/publisher/natstest"
)

// A rebuild has begun an epoch of which nothing is stored yet: what it follows is
// lost with the stream.
func TestStreamMadeAnewAfterARebuildIsTold(t *testing.T) {
	bubble(t, func(t *testing.T, _ *natstest.Server, nc *nats.Conn, b *box) {
		r := start(t, nc, b)
		b.add(3)
		pass(time.Second)
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		b = newBox("E2") // the state was lost
		r = start(t, nc, b)
		pass(time.Second)
		if b.Follows() == "" {
			t.Fatal("no rebuild")
		}
		if err := r.js.DeleteStream(t.Context(), live.Name); err != nil {
			t.Fatal(err)
		}
		b.add(1)
		pass(time.Minute)
		if want := "last_lost=E1-0000000000000003"; r.Status().MadeAnew.IsZero() || !strings.Contains(r.log.String(), want) {
			t.Errorf("want %s:\n%s", want, r.log)
		}
	})
}

// A stream that was deleted and recreated has lost its history, whoever made it
// and whether roomwatch ran meanwhile. That is told once; a purge, a restart and
// the first start of all are no such loss.
func TestStreamMadeAnewIsTold(t *testing.T) {
	remove := func(t *testing.T, js jetstream.JetStream) {
		if err := js.DeleteStream(t.Context(), live.Name); err != nil {
			t.Fatal(err)
		}
	}
	remake := func(t *testing.T, js jetstream.JetStream) {
		remove(t, js)
		time.Sleep(time.Second) // the server removes its files afterwards
		if _, err := js.CreateStream(t.Context(), live.wanted()); err != nil {
			t.Fatal(err)
		}
	}
	purge := func(t *testing.T, js jetstream.JetStream) {
		s, err := js.Stream(t.Context(), live.Name)
		if err == nil {
			err = s.Purge(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		name string
		do   func(t *testing.T, js jetstream.JetStream)
		down bool // roomwatch does not run meanwhile
		want int
		kept bool // the events of before
	}{
		{name: "removed", do: remove, want: 1},
		{name: "removed while down", do: remove, down: true, want: 1},
		{name: "made by another", do: remake, want: 1},
		{name: "made by another while down", do: remake, down: true, want: 1},
		{name: "purged", do: purge},
		{name: "purged while down", do: purge, down: true},
		{name: "restarted", do: func(*testing.T, jetstream.JetStream) {}, down: true, kept: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, _ *natstest.Server, nc *nats.Conn, b *box) {
				r := start(t, nc, b)
				b.add(3)
				pass(time.Second)
				if !r.Status().MadeAnew.IsZero() {
					t.Error("told of the first stream of all")
				}
				js := r.js
				if tt.down {
					if err := r.stop(); err != nil {
						t.Fatal(err)
					}
				}
				tt.do(t, js)
				if tt.down {
					r = start(t, nc, b)
				}
				for range 3 {
					b.add(1)
					pass(time.Minute)
				}
				told, log := testutil.ToFloat64(r.metrics.madeAnew), r.log.String()
				if int(told) != tt.want || strings.Count(log, `msg="stream recreated"`) != tt.want || r.Status().MadeAnew.IsZero() != (tt.want == 0) {
					t.Errorf("told %v times, want %d, seen at %v:\n%s", told, tt.want, r.Status().MadeAnew, log)
				}
				first := uint64(4)
				if tt.kept {
					first = 1
				}
				wantEvents(t, nc, first, 6)
			})
		})
	}
}
