package main

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"roomwatch/cmd/roomaudit/trail"
	"roomwatch/publisher/natsconn"
	"roomwatch/publisher/natstest"
)

// The largest file is sealed within the wait of NATS for an acknowledgement, also by a slow machine.
func TestSealFitsAckWait(t *testing.T) {
	if took := time.Duration(maxFileBytes/slowestSeal) * time.Second; took > ackWait*9/10 {
		t.Errorf("%d bytes are sealed in %s, and NATS waits for %s", int64(maxFileBytes), took, ackWait)
	}
}

// A seal that takes nearly as long as NATS waits has no message delivered again. One that
// takes longer has, and none is on record twice.
func TestSealIsSlow(t *testing.T) {
	for _, tt := range []struct {
		name  string
		takes time.Duration
		again bool
	}{
		{"as long as the largest file on a slow machine", maxFileBytes / slowestSeal * time.Second, false},
		{"longer than NATS waits", 2*ackWait + time.Minute, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			natstest.Run(t, func(t *testing.T, s *natstest.Server) { sealSlowly(t, s, tt.takes, tt.again) })
		})
	}
}

func sealSlowly(t *testing.T, s *natstest.Server, takes time.Duration, again bool) {
	const events = 1200
	js := natstest.Live(t, s.Connect())
	for n := uint64(1); n <= events; n++ {
		_, err := js.Publish(t.Context(), "live.room.created.1400000000.x", event(n, "r", "n"))
		must(t, err)
	}
	dir, slept := t.TempDir(), false
	w, err := trail.Open(trail.Options{Dir: dir, MaxFileBytes: 100 << 10, Refuse: func(step, path string) error {
		if step == "write" && strings.HasSuffix(path, ".gz.tmp") && !slept {
			slept = true
			time.Sleep(takes)
		}
		return nil
	}})
	must(t, err)
	log := slog.New(slog.DiscardHandler)
	conn, err := natsconn.Connect(t.Context(), natsconn.Config{InProcess: s, Log: log})
	must(t, err)
	defer conn.Close()
	r := &recorder{config: &config{Stream: "LIVE", Durable: "roomaudit", Dir: dir}, trail: w, status: newStatus(), log: log, process: "one"}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			_ = r.over(ctx, conn)
		}
	}()
	time.Sleep(takes + time.Minute)
	c, err := js.Consumer(t.Context(), "LIVE", "roomaudit")
	must(t, err)
	if i := c.CachedInfo(); i.AckFloor.Stream != events || i.NumAckPending != 0 || i.Delivered.Consumer > events != again {
		t.Errorf("acknowledged up to %d, %d more are waiting, %d deliveries", i.AckFloor.Stream, i.NumAckPending, i.Delivered.Consumer)
	}
	stop()
	<-ended
	if err := w.Close(); err != nil || !slept {
		t.Errorf("sealed slowly: %t, %v", slept, err)
	}
	got := recorded(t, dir)
	for i, l := range got {
		if l.Seq != uint64(i)+1 || l.Kind != trail.Event {
			t.Fatalf("message %d is number %d on record, as %s", l.Seq, i+1, l.Kind)
		}
	}
	if len(got) != events {
		t.Errorf("%d messages are on record", len(got))
	}
	wantSound(t, dir)
}
