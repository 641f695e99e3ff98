package main

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/cmd/roomaudit/trail"
	"roomwatch/publisher/natstest"
)

// A request for messages can be lost with the server that had it. The session
// that waits for them ends, and the next one records them.
func TestSessionEndsWhenItsConsumerIsSilent(t *testing.T) {
	natstest.Run(t, func(t *testing.T, s *natstest.Server) {
		l := &natstest.Leaderless{}
		s.Tap(l.Tap)
		js := natstest.Live(t, s.Connect())
		for n := range uint64(3) {
			_, err := js.Publish(t.Context(), "live.room.created.1400000000.x", event(n+1, "r", "a"))
			must(t, err)
		}
		log := slog.New(slog.DiscardHandler)
		w, err := trail.Open(trail.Options{Dir: t.TempDir(), MaxFileBytes: 20000, Log: log})
		must(t, err)
		r := &recorder{config: &config{Stream: "LIVE", Durable: "roomaudit"}, js: js, trail: w, status: newStatus(), log: log}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		ended := make(chan error, 1)
		session := func() { ended <- r.session(ctx) }
		l.Lose("CONSUMER.MSG.NEXT")
		go session()
		time.Sleep(time.Second)
		l.Lose()
		select {
		case err := <-ended:
			if !errors.Is(err, jetstream.ErrNoHeartbeat) {
				t.Errorf("the session ended with %v", err)
			}
			go session()
			time.Sleep(time.Minute)
		case <-time.After(15 * time.Second):
			t.Error("the session still waits")
		}
		cancel()
		if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("the session ended with %v", err)
		}
		if got := w.Position().Last; got != 3 {
			t.Errorf("message %d is the last on record, want 3", got)
		}
		must(t, w.Close())
		time.Sleep(time.Minute)
	})
}
