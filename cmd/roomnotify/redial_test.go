package main

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/diff/logtest"
	"roomwatch/publisher/events"
	"roomwatch/publisher/natstest"
)

// The client library ends a connection permanently when the server reports an error
// that the library does not know. roomnotify makes another one, says why, and
// tells what comes.
func TestConnectionClosedForGood(t *testing.T) {
	b := newBench(t, "targets:\n  hook: {kind: webhook, url: \"${HOOK_URL}\", secret: \"${HOOK_SECRET}\"}\nrules:\n  new: {"+all+", targets: [hook]}\n")
	tap := natstest.NewTap(t, b.url)
	b.url = tap.URL()
	b.run("check") // sets the variables
	cfg, file, err := configured("")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	log := &logtest.Buffer{}
	ended := make(chan error, 1)
	go func() { ended <- runDaemon(ctx, cfg, file, slog.New(slog.NewTextHandler(log, nil))) }()
	waits := func() bool {
		c, err := b.js.Consumer(t.Context(), "LIVE", "notify-hook")
		return err == nil && c.CachedInfo().NumWaiting > 0
	}
	put := func(seq uint64, room string) {
		e := roomEvent(seq, room, time.Now())
		body, err := events.Encode(e)
		if err == nil {
			_, err = b.js.Publish(t.Context(), events.SubjectOf("live", e), body, jetstream.WithMsgID(e.ID))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	waitFor(t, "somebody who waits for events", waits)
	reported := tap.Report()
	put(1, "x")
	<-reported
	put(2, "y")
	waitFor(t, "both notifications", func() bool { return len(b.to.requests("")) >= 2 })
	stop()
	if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("runDaemon: %v", err)
	}
	if text := log.String(); strings.Count(text, "NATS closed the connection") != 1 || !strings.Contains(text, "Never Heard Of") {
		t.Errorf("log:\n%s", text)
	}
}
