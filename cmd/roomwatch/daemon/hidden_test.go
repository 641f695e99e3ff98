package daemon

import (
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"roomwatch/poller/simulator"
	"roomwatch/publisher/events"
)

// A hidden room lives on while the state is rebuilt and while point reads are refused,
// over a kill, too; one that is hidden before it was ever seen is no news until the
// list shows it.
func TestHiddenRoomsInBadTimes(t *testing.T) {
	weekPlan{Seed: 1, Rooms: 30, Interval: 10 * time.Second, Reads: 50, Callbacks: true}.run(t, func(w *week) {
		t := w.t // of the bubble
		told := map[string]string{}
		w.judge.heard = func(e events.Event) {
			told[e.Subject] = strings.TrimSpace(told[e.Subject] + " " + strings.TrimPrefix(string(e.Type), "room."))
		}
		want := func(when, id, want string) {
			t.Helper()
			w.read()
			w.report()
			if told[id] != want {
				t.Errorf("%s, of %s is told %q, want %q", when, id, told[id], want)
			}
		}
		do := func(id string, f func(id string) error) {
			t.Helper()
			if err := f(id); err != nil {
				t.Fatal(err)
			}
		}
		w.live(time.Minute)
		back, over, unseen := w.service.Truth().Live()[3].RoomID, w.service.Truth().Live()[7].RoomID, "unseen"
		do(back, w.service.Flip)
		do(over, w.service.Flip)
		do(unseen, w.service.Open)
		do(unseen, w.service.Flip)
		w.live(2 * time.Minute)
		want("hidden", back, "created hidden")
		want("hidden at once", unseen, "")

		w.bury(anyMoment, 1)
		if err := os.Remove(w.config.StatePath()); err != nil {
			t.Fatal(err)
		}
		w.start(w.config)
		w.live(5 * time.Minute)
		want("after a rebuild", back, "created hidden")
		want("after a rebuild", unseen, "")

		refused := func(int, *http.Request) *simulator.Fault { return &simulator.Fault{ErrorCode: 60010} }
		w.faults.info.Store(&refused)
		w.live(10 * time.Minute)
		do(over, w.service.Close)
		w.die(anyMoment, 1, 0)
		w.live(10 * time.Minute)
		want("while reads are refused", back, "created hidden")
		want("while reads are refused", over, "created hidden")
		want("while reads are refused", unseen, "")

		w.faults.clear()
		w.live(12 * time.Minute) // they are tried every ten
		do(back, w.service.Flip)
		do(unseen, w.service.Flip)
		w.live(2 * time.Minute)
		want("in the end", back, "created hidden shown")
		want("in the end", over, "created hidden ended")
		want("in the end", unseen, "created")
		w.settle()
	})
}
