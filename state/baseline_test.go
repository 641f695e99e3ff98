package state

import (
	"testing"
	"time"

	"roomwatch/diff"
)

// One row of the list cannot be read for an hour, so that no sweep is complete.
// What began after the first look is news all the same, also after a restart.
func TestNewsWhileNoSweepIsComplete(t *testing.T) {
	for _, silent := range []bool{false, true} {
		p := diff.DefaultPolicy()
		p.SilentBaseline = silent
		s := open(t, newPath(t), p)
		look := func(n float64, rooms string) {
			t.Helper()
			pg := page(t, n, rooms)
			pg.Asked = time.Unix(int64(n), 0)
			commit(t, s, pg)
			if _, err := s.EndSweep(diff.Sweep{Begin: second(n), End: second(n + 1)}); err != nil {
				t.Fatal(err)
			}
		}
		look(100, "") // a list that shows nothing is a look, too
		s = kill(t, s)
		s.policy = p
		look(1000, "a@1=0 b@100=0 c@101=0")
		look(2000, "a@1=0 b@100=0 c@101=0 d@1990=0 a@1995=0")
		want := "1 *a@1=0, 2 *b@100=0, 3 +c@101=0, 4 +d@1990=0, 5 -a@1, 6 +a@1995=0"
		if silent {
			want = "1 +c@101=0, 2 +d@1990=0, 3 -a@1, 4 +a@1995=0"
		}
		wantWaiting(t, s, 0, want)
		checked(t, s)
	}
}

// Once a sweep was complete, an old room that the list had not shown is news.
func TestNothingIsBaselineAfterACompleteSweep(t *testing.T) {
	s := open(t, newPath(t))
	first := page(t, 100, "a@1=0")
	first.Asked = time.Unix(100, 0)
	commit(t, s, first)
	if _, err := s.EndSweep(ended(100, first)); err != nil {
		t.Fatal(err)
	}
	commit(t, s, page(t, 110, "a@1=0 b@2=0"))
	wantWaiting(t, s, 0, "1 *a@1=0, 2 +b@2=0")
}
