package web

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/diff"
	"roomwatch/publisher"
	"roomwatch/publisher/natsconn"
	"roomwatch/publisher/natstest"
)

// A lossy is a reader of events behind a network that can lose requests.
type lossy struct {
	*natstest.Leaderless
	t     *testing.T
	js    jetstream.JetStream
	seq   uint64
	items chan item
	stop  func()
	ended chan struct{}
}

func readLossy(t *testing.T, what func(l *lossy)) {
	natstest.Run(t, func(t *testing.T, s *natstest.Server) {
		js := natstest.Live(t, s.Connect())
		l := &lossy{Leaderless: &natstest.Leaderless{}, t: t, js: js, items: make(chan item, 100), ended: make(chan struct{})}
		s.Tap(l.Tap)
		conn := connection(t, natsconn.Config{InProcess: s})
		f := newFeed(Config{
			Conn: conn, Stream: "LIVE", Prefix: "live", SDKAppID: testApp, Log: slog.New(slog.DiscardHandler),
		})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		l.stop = cancel
		go func() {
			defer close(l.ended)
			f.follow(ctx, eventQuery{since: time.Hour}, l.items)
		}()
		l.want("a")
		what(l)
		l.Lose()
		cancel()
		<-l.ended
		conn.Close()
		time.Sleep(time.Minute) // the client tries to make its consumer for ten seconds
	})
}

// want publishes an event of a room and waits until the reader has it, and no other.
func (l *lossy) want(room string) {
	l.t.Helper()
	l.seq++
	e := diff.Event{ID: fmt.Sprint("E-", l.seq), Seq: l.seq, Type: diff.RoomCreated, Version: 1, Time: time.Now(), Room: diff.Room{RoomID: room, CreateTime: 1}}
	if _, err := l.js.Publish(l.t.Context(), publisher.Subject("live", e.Type, testApp, room), publisher.Encode(testApp, e)); err != nil {
		l.t.Fatal(err)
	}
	select {
	case i := <-l.items:
		if got, err := publisher.Decode(i.data); err != nil || got.ID != e.ID {
			l.t.Errorf("the reader has %s, want %s: %v", i.data, e.ID, err)
		}
	case <-time.After(2 * time.Minute):
		l.t.Error("the reader waits for ever")
	}
}

// A reader that leaves is let go at once, whatever NATS does not answer.
func TestStopEndsFeedWithoutALeader(t *testing.T) {
	for name, after := range map[string]time.Duration{"a consumer is recreated": 5 * time.Second, "one is made": 17 * time.Second} {
		t.Run(name, func(t *testing.T) {
			readLossy(t, func(l *lossy) {
				l.Cut("CONSUMER.CREATE")
				time.Sleep(after)
				began := time.Now()
				l.stop()
				<-l.ended
				if took := time.Since(began); took > 200*time.Millisecond {
					t.Errorf("the stop took %v", took)
				}
			})
		})
	}
}

// A reader resumes where it was when its consumer can be made again, and when it
// brings nothing although it is there.
func TestFeedGoesOnWithALeader(t *testing.T) {
	for name, away := range map[string]func(l *lossy){
		"no leader":         func(l *lossy) { l.Cut("CONSUMER.CREATE") },
		"a silent consumer": func(l *lossy) { l.Lose("CONSUMER.MSG.NEXT") },
	} {
		t.Run(name, func(t *testing.T) {
			readLossy(t, func(l *lossy) {
				away(l)
				time.Sleep(40 * time.Second)
				l.Lose()
				l.want("b")
			})
		})
	}
}
