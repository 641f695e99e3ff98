package daemon

import (
	"testing"
	"time"

	"roomwatch/poller/simulator"
	"roomwatch/publisher/events"
)

// Thousands of rooms that end at once are told within twice the time that one read of
// each of them takes. A daemon that is killed meanwhile, with all it wanted to read,
// tells the rest. The cursor of the list is a key: ranks would shift under the sweep, which
// then misses thousands of rooms that live, and reads them, too.
func TestManyEndsAtOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("reads a list of 600 pages for minutes")
	}
	const rate = 50
	tests := []struct {
		name        string
		rooms, over int
		killed      bool
	}{
		{"undisturbed", 12_000, 5_000, false},
		{"killed", 6_000, 2_500, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			weekPlan{Seed: 1, Rooms: tt.rooms, Next: simulator.NextKey, Interval: 10 * time.Second, Reads: rate}.run(t, func(w *week) {
				t := w.t // of the bubble
				w.live(3 * time.Minute)
				live := w.service.Truth().Live()
				began := time.Now()
				for i := range tt.over {
					if err := w.service.Close(live[i*len(live)/tt.over].RoomID); err != nil {
						t.Fatal(err)
					}
				}
				within := time.Duration(2*tt.over/rate) * time.Second
				if tt.killed {
					w.live(30 * time.Second)
					w.die(anyMoment, 1, 0)
					within += 30*time.Second + time.Duration(tt.rooms/20/9)*time.Second // what was heard is lost, and a sweep looks for them anew
				}
				w.live(within + time.Minute)
				var last time.Time
				w.judge.heard = func(e events.Event) {
					if e.Type == events.RoomEnded && e.Time.After(last) {
						last = e.Time
					}
				}
				w.read()
				w.report()
				if n := tt.rooms - len(w.judge.live); n != tt.over {
					t.Fatalf("%d of %d ends were told", n, tt.over)
				}
				took := last.Sub(began)
				t.Logf("the last end was told after %s; %d reads", took, w.service.InfoRequests())
				if took > within {
					t.Errorf("the last end was told after %s, want %s", took, within)
				}
			})
		})
	}
}
