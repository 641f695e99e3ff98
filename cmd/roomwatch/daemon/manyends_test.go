package daemon

import (
	"net/http"
	"testing"
	"time"

	"roomwatch/poller/simulator"
	"roomwatch/publisher/events"
)

const manyReads = 50 // a second

// manyEnds is a world in which so many of the rooms end at once.
type manyEnds struct {
	rooms, over int
	killed      bool // the daemon, half a minute later
	sweepsAlone bool
	infoFault   func(int, *http.Request) *simulator.Fault // of point reads; nil: none fails
}

// oneRead is the time that one read of each room that ended takes.
func (m manyEnds) oneRead() time.Duration { return time.Duration(m.over/manyReads) * time.Second }

// sweep is the time that a sweep of the rooms takes, while all of them are listed.
func (m manyEnds) sweep() time.Duration { return time.Duration(m.rooms/20/9) * time.Second }

// play returns how long after the ends of the rooms they were told. The cursor of the list is a key: ranks would
// shift under the sweep, which then misses thousands of rooms that live, and reads them, too.
func (m manyEnds) play(t *testing.T) map[string]time.Duration {
	t.Helper()
	took := map[string]time.Duration{}
	plan := weekPlan{Seed: 1, Rooms: m.rooms, Next: simulator.NextKey, Interval: 10 * time.Second, Reads: manyReads}
	if m.sweepsAlone {
		plan.Reads = 0
	}
	plan.run(t, func(w *week) {
		t := w.t // of the bubble
		if m.infoFault != nil {
			w.faults.info.Store(&m.infoFault)
		}
		w.live(3 * time.Minute)
		live := w.service.Truth().Live()
		began := time.Now()
		for i := range m.over {
			if err := w.service.Close(live[i*len(live)/m.over].RoomID); err != nil {
				t.Fatal(err)
			}
		}
		if m.killed {
			w.live(30 * time.Second)
			w.die(anyMoment, 1, 0)
		}
		w.live(2*m.oneRead() + 3*m.sweep() + time.Minute)
		w.judge.heard = func(e events.Event) {
			if e.Type == events.RoomEnded {
				took[e.Data.Room.RoomID] = e.Time.Sub(began)
			}
		}
		w.read()
		w.report()
		if n := m.rooms - len(w.judge.live); n != m.over || len(took) != m.over {
			t.Fatalf("%d of %d ends were told", n, m.over)
		}
		t.Logf("%d reads; told: %v", w.service.InfoRequests(), w.judge.told)
	})
	return took
}

func latest(took map[string]time.Duration) (last time.Duration) {
	for _, d := range took {
		last = max(last, d)
	}
	return last
}

// Thousands of rooms that end at once are told within twice the time that one read of
// each of them takes. A daemon that is killed meanwhile, with all it wanted to read,
// tells the rest.
//
// No end is held up by reads for longer than the read of each room takes that tells whether it is hidden: sweeps
// do not show that. Where reads keep up with the sweeps, no end is held up at all.
func TestManyEndsAtOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("reads a list of 600 pages for minutes")
	}
	tests := []struct {
		name string
		manyEnds
		held time.Duration // an end, beside one by sweeps alone, at most
	}{
		{"reads keep up", manyEnds{rooms: 4_000, over: 400}, 0},
		{"too many to keep up", manyEnds{rooms: 12_000, over: 5_000}, 5_000 / manyReads * time.Second},
		{"killed", manyEnds{rooms: 6_000, over: 2_500, killed: true}, -1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			took := tt.play(t)
			within := 2 * tt.oneRead()
			if tt.killed {
				within += 30*time.Second + tt.sweep() // what was heard is lost, and a sweep looks for them anew
			}
			within = max(within, 2*tt.sweep()) // until a sweep is past all of them
			last := latest(took)
			t.Logf("the last end was told after %s", last)
			if last > within {
				t.Errorf("the last end was told after %s, want %s", last, within)
			}
			if tt.held < 0 {
				return
			}
			tt.sweepsAlone = true
			alone := tt.play(t)
			t.Logf("by sweeps alone after %s", latest(alone))
			late, most := 0, time.Duration(0)
			for id, d := range took {
				if held := d - alone[id]; held > tt.held {
					late, most = late+1, max(most, held)
				}
			}
			if late > 0 {
				t.Errorf("reads hold up the ends of %d rooms, by up to %s, want %s", late, most, tt.held)
			}
		})
	}
}
