package events_test

import (
	"testing"
	"time"

	"roomwatch/publisher/events"
	"roomwatch/publisher/natstest"
)

// The stream loses an event that a subscriber has handled, and the rebuild after
// it begins a new epoch, with number 1: its events are news to the subscriber.
func TestEventsAfterARebuildAreHandled(t *testing.T) {
	natstest.Run(t, func(t *testing.T, srv *natstest.Server) {
		r := newRig(t, srv)
		w := &worker{}
		stop := r.subscribe(events.Options{}, w.handle)
		r.put("a", "b")
		until(t, "both are done", func() bool { return len(w.did()) == 2 })
		s, err := r.js.Stream(t.Context(), "LIVE")
		if err != nil {
			t.Fatal(err)
		}
		if err := s.DeleteMsg(t.Context(), s.CachedInfo().State.LastSeq); err != nil {
			t.Fatal(err)
		}
		r.epoch, r.seq = "B", 0
		r.put("c", "d")
		until(t, "the others are done", func() bool { return len(w.did()) == 4 })
		time.Sleep(time.Minute)
		if p, left := r.pending(); p != 0 || left != 0 {
			t.Errorf("%d unacknowledged, %d left", p, left)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}
