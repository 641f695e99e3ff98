package events_test

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/publisher/events"
	"roomwatch/publisher/natstest"
)

// followLossy follows a stream with room a over a network that can lose requests.
func followLossy(t *testing.T, what func(r *rig, l *natstest.Leaderless, b *board, stop func() error)) {
	natstest.Run(t, func(t *testing.T, srv *natstest.Server) {
		r := newRig(t, srv)
		r.put("a")
		l := &natstest.Leaderless{}
		srv.Tap(l.Tap)
		js, err := jetstream.New(srv.Connect())
		if err != nil {
			t.Fatal(err)
		}
		b := &board{}
		stop := (&rig{t: t, js: js}).follow(events.Options{}, b.tell)
		until(t, "ready", func() bool { return strings.Contains(b.text(), "ready") })
		what(r, l, b, stop)
		l.Lose()
		time.Sleep(time.Minute) // the client tries to make its consumer for ten seconds
	})
}

// A stop ends a follower at once, also while the client makes its consumer anew.
func TestStopEndsFollowWithoutALeader(t *testing.T) {
	followLossy(t, func(_ *rig, l *natstest.Leaderless, _ *board, stop func() error) {
		l.Cut("CONSUMER.CREATE")
		time.Sleep(5 * time.Second)
		began := time.Now()
		if err := stop(); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took > 200*time.Millisecond {
			t.Errorf("the stop took %v", took)
		}
	})
}

// A follower resumes where it was when its consumer can be made again, and when
// it brings nothing although it is there.
func TestFollowGoesOnWithALeader(t *testing.T) {
	for name, away := range map[string]func(l *natstest.Leaderless){
		"no leader":         func(l *natstest.Leaderless) { l.Cut("CONSUMER.CREATE") },
		"a silent consumer": func(l *natstest.Leaderless) { l.Lose("CONSUMER.MSG.NEXT") },
	} {
		t.Run(name, func(t *testing.T) {
			followLossy(t, func(r *rig, l *natstest.Leaderless, b *board, stop func() error) {
				away(l)
				time.Sleep(40 * time.Second)
				l.Lose()
				r.put("a", "a")
				until(t, "the news", func() bool { return b.version("a") == 3 })
				if got, want := b.text(), "begin, listed a1, ready, news a2, news a3"; got != want {
					t.Errorf("told %s\nwant %s", got, want)
				}
				if err := stop(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}
