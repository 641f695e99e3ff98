package publisher

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"roomwatch/diff"
	"roomwatch/publisher/natsconn"
	"roomwatch/publisher/natstest"
)

// A stream of a build before the first release, which wrote % for =, is neither
// continued nor skipped: the start ends with the command that fixes it.
func TestStreamOfABuildBeforeTheRelease(t *testing.T) {
	for name, rooms := range map[string][]string{
		"its event is the last": {"plain", "a.b"},
		"found by a rebuild":    {"a.b", "plain"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, _ *natstest.Server, nc *nats.Conn, b *box) {
				s := stream(t, nc, nil)
				for i, room := range rooms {
					seq := uint64(i + 1)
					body := Encode(app, diff.Event{
						ID: eventID("E0", seq), Seq: seq, Type: diff.RoomCreated, Version: 1, Time: time.Now(), Room: diff.Room{RoomID: room},
					})
					send(t, nc, unreleased("live", diff.RoomCreated, app, room), body)
				}
				if found, err := Inspect(t.Context(), natsconn.Of(nc), live, app); !errors.Is(err, ErrUnfit) || !strings.Contains(err.Error(), "a%2Eb") {
					t.Errorf("a look finds %q, %v", found, err)
				}
				r := start(t, nc, b)
				pass(time.Minute)
				r.wantEnd(t)
				err := r.err
				if !errors.Is(err, ErrUnfit) {
					t.Fatalf("it ended with %v\n%s", err, r.log)
				}
				for _, part := range []string{"live.room.created.88888888.a%2Eb", "live.room.created.88888888.a=2Eb", "`nats stream purge LIVE --subject='live.room.created.88888888.a%2Eb'`", "`nats stream purge LIVE --subject='live.*.*.88888888.*'`"} {
					if !strings.Contains(err.Error(), part) {
						t.Errorf("%q does not name %s", err, part)
					}
				}
				if b.rebuilds != 0 {
					t.Errorf("the state was rebuilt without the room: %v", b.rooms)
				}
				if err := s.Purge(t.Context()); err != nil {
					t.Fatal(err)
				}
				b.addRoom("a.b", "")
				start(t, nc, b)
				pass(time.Minute)
				wantEvents(t, nc, 1, 1)
			})
		})
	}
}
