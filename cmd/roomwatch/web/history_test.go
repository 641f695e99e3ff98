package web

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"roomwatch/diff"
)

// The history has a point for each step of the last hour, with what happened in it.
func TestHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		s := &Server{history: &history{}}
		status := func() Status { // an event and a room a second; a sweep of 2 s every 20 s
			n := int64(time.Since(start) / time.Second)
			st := Status{
				Now: Time{time.Now()}, Rooms: RoomCount{Known: uint64(n), Missing: 2}, Outbox: Outbox{Depth: 3},
				Events: map[string]int64{string(diff.RoomCreated): n, string(diff.RoomEnded): 0},
			}
			if n >= 15 {
				st.LastComplete = &CompleteSweep{Began: Time{start.Add(time.Duration((n-15)/20) * time.Minute)}, Duration: 2}
			}
			return st
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); s.history.run(ctx, status) }()
		show := func() (h History) {
			w := httptest.NewRecorder()
			s.showHistory(w, nil)
			if err := json.Unmarshal(w.Body.Bytes(), &h); err != nil {
				t.Fatal(err)
			}
			return h
		}
		if h := show(); h.Step != 10 || h.Points == nil || len(h.Points) != 0 {
			t.Errorf("at the start: %+v", h)
		}
		time.Sleep(40 * time.Second)
		synctest.Wait()
		h := show()
		if len(h.Points) != 4 {
			t.Fatalf("%d points after 40 s", len(h.Points))
		}
		for i, p := range h.Points {
			if p.Rooms != uint64(10*(i+1)) || p.Missing != 2 || p.Outbox != 3 || p.Events["room.created"] != 10 || p.Events["room.ended"] != 0 || !p.At.Equal(start.Add(time.Duration(i+1)*10*time.Second)) {
				t.Errorf("point %d: %+v", i, p)
			}
			if odd := i%2 == 1; (p.Sweep != nil) != odd {
				t.Errorf("point %d: sweep %v", i, p.Sweep)
			}
		}
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		h = show()
		if n := len(h.Points); n != historyPoints || h.Points[n-1].At.Sub(h.Points[0].At.Time) != time.Hour-historyStep {
			t.Errorf("%d points after two hours", n)
		}
		cancel()
		<-done
	})
}
