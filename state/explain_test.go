package state

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"roomwatch/diff"
)

// facts writes what is known of a room n seconds after noon.
func facts(t *testing.T, s *Store, n float64, id string) string {
	t.Helper()
	f, err := s.Explain(id, second(n))
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	add := func(format string, args ...any) { words = append(words, fmt.Sprintf(format, args...)) }
	clock := func(at time.Time) float64 { return at.Sub(second(0)).Seconds() }
	if l := f.Live; l != nil {
		add("live@%d=%d/%d v%d listed:%d of %d", l.Room.CreateTime, l.Room.ViewCount, f.Told, l.Version, f.Listed, f.Sweep)
		if l.Room.Hidden {
			add("hidden")
		}
		if l.Missed > 0 {
			add("missed:%d from %v to %v (sweep %d), needs %d over %v", l.Missed, clock(f.Missed), clock(f.History.Begin), f.Judged, f.Need, f.Span)
		}
	}
	if e := f.End; !e.Told.IsZero() {
		add("ended@%d at %v by %s", e.CreateTime, clock(e.Told), e.By)
	}
	r := f.Reads
	if r == nil {
		return strings.Join(append(words, "no reads"), ", ")
	}
	for _, a := range r.Absent {
		add("absent %v", clock(a.At))
		if a.Callback {
			add("(callback)")
		}
	}
	for what, is := range map[string]bool{"asked": r.Asked, "passed": r.Passed, "proved": r.Proved, "held back": f.HeldBack} {
		if is {
			add("%s", what)
		}
	}
	if r.Told != nil {
		add("told %s, seen since: %t", r.Told.Kind, r.Told.Seen)
	}
	if r.Newer != nil {
		add("newer@%d listed: %t, read: %t", r.Newer.CreateTime, r.Newer.Listed, !r.Newer.Read.IsZero())
	}
	if r.Distrusted {
		add("void %v to %v", clock(r.VoidFrom), clock(r.Void))
	}
	return strings.Join(words, ", ")
}

func wantFacts(t *testing.T, s *Store, n float64, id, want string) {
	t.Helper()
	if got := facts(t, s, n, id); got != want {
		t.Errorf("%s at %v s: %q, want %q", id, n, got, want)
	}
}

func endSweep(t *testing.T, s *Store, sw diff.Sweep) {
	t.Helper()
	if _, err := s.EndSweep(sw); err != nil {
		t.Fatal(err)
	}
}

// What is known of a room follows it from its first sight to its end.
func TestExplain(t *testing.T) {
	s, _ := openReading(t)
	wantFacts(t, s, 0, "b", "")
	see(t, s, page(t, 1, "a@1=5 b@1=3"))
	wantFacts(t, s, 1, "b", "live@1=3/3 v1 listed:1 of 1")
	endSweep(t, s, ended(0, page(t, 1, "a@1=5 b@1=3")))
	wantFacts(t, s, 3, "b", "live@1=3/3 v1 listed:1 of 2")
	for i := range 2 {
		n := 10 + 10*float64(i)
		see(t, s, page(t, n+1, "a@1=5"))
		endSweep(t, s, ended(n, page(t, n+1, "a@1=5")))
	}
	wantFacts(t, s, 23, "a", "live@1=5/5 v1 listed:3 of 4")
	missed := "live@1=3/3 v1 listed:1 of 4, missed:2 from 10 to 20 (sweep 3), needs 2 over 10s"
	wantFacts(t, s, 23, "b", missed)
	s.reads.with(func(w *diff.Witnesses) { w.Ask("b") })
	wantFacts(t, s, 23, "b", missed+", asked")
	answer(t, s, 23, "b-")
	wantFacts(t, s, 23, "b", missed+", absent 23")
	answer(t, s, 26, "b-")
	wantFacts(t, s, 26, "b", missed+", absent 23, absent 26")
	see(t, s, page(t, 26.1, "a@1=5"))
	control(t, s, 26.5)
	wantFacts(t, s, 27, "b", "ended@1 at 26.5 by info")
	see(t, s, page(t, 28, "a@1=5 b@7=9"))
	wantFacts(t, s, 28, "b", "live@7=9/9 v1 listed:4 of 4, ended@1 at 26.5 by info")
	checked(t, s)
}

// A callback is a witness, a control that is not found voids the others, and a newer
// life waits for its proof.
func TestExplainDoubts(t *testing.T) {
	s, _ := openReading(t)
	see(t, s, page(t, 1, "a@1=5 b@1=3 c@1=1"))
	endSweep(t, s, ended(0, page(t, 1, "a@1=5 b@1=3 c@1=1")))
	s.Tell(diff.Callback{RoomID: "b", Kind: diff.Destroyed, At: second(2), Signed: 2})
	s.Tell(diff.Callback{RoomID: "new", Kind: diff.Created, At: second(2), Signed: 2})
	wantFacts(t, s, 3, "new", "told created, seen since: false")
	live := "live@1=3/3 v1 listed:1 of 2"
	wantFacts(t, s, 3, "b", live+", told destroyed, seen since: false")
	answer(t, s, 3, "b-")
	wantFacts(t, s, 3, "b", live+", absent 2, (callback), absent 3")
	var id string
	s.reads.with(func(w *diff.Witnesses) { id, _ = w.Control(second(3.5)) })
	answer(t, s, 3.5, id+"-")
	wantFacts(t, s, 4, "b", live+", void -1.5 to 3.5")
	see(t, s, page(t, 5, "c@8=0"))
	wantFacts(t, s, 5, "c", "live@1=1/1 v1 listed:1 of 2, newer@8 listed: true, read: false, void -1.5 to 3.5")
}

// While too many rooms are gone at once, a proof is held back, and says so.
func TestExplainHeldBack(t *testing.T) {
	s, _ := openReading(t)
	var all, left []string
	for i := range 24 {
		all = append(all, fmt.Sprintf("r%02d@1=0", i))
	}
	left = all[:10]
	see(t, s, page(t, 1, strings.Join(all, " ")))
	endSweep(t, s, ended(0, page(t, 1, strings.Join(all, " "))))
	see(t, s, page(t, 11, strings.Join(left, " ")))
	endSweep(t, s, ended(10, page(t, 11, strings.Join(left, " "))))
	answer(t, s, 12, "r20-")
	answer(t, s, 15, "r20-")
	control(t, s, 15.5)
	f, err := s.Explain("r20", second(16))
	if err != nil || f.Live == nil || !f.Reads.Proved || !f.HeldBack || !f.Guarded || f.Need != 5 {
		t.Errorf("%+v, reads %+v, %v", f, f.Reads, err)
	}
}

// A passed room is told as passed, and a state without reads knows of none.
func TestExplainPassed(t *testing.T) {
	s, _ := openReading(t)
	pages := []string{"a@1=50 b@1=45", "c@1=30", "d@1=20", "e@1=10"}
	for i, rooms := range pages {
		see(t, s, page(t, float64(i), rooms))
	}
	endSweep(t, s, ended(0, page(t, 1, strings.Join(pages, " "))))
	for i, rooms := range pages {
		see(t, s, page(t, 20+3*float64(i), strings.ReplaceAll(rooms, " b@1=45", "")))
	}
	wantFacts(t, s, 30, "b", "live@1=45/45 v1 listed:1 of 2, passed")
	s.reads.propose = nil
	wantFacts(t, s, 30, "b", "live@1=45/45 v1 listed:1 of 2, no reads")
}

// An end of sweeps is remembered as one, also by the next process; a file of an
// earlier build does not say what proved it.
func TestExplainEndOverRestart(t *testing.T) {
	path := newPath(t)
	s := open(t, path)
	see(t, s, page(t, 1, "a@1=5 b@1=3"))
	endSweep(t, s, ended(0, page(t, 1, "a@1=5 b@1=3")))
	for n := 10.; n <= 20; n += 10 {
		endSweep(t, s, ended(n, page(t, n, "a@1=5")))
	}
	wantFacts(t, s, 23, "b", "ended@1 at 22 by sweeps, no reads")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, path)
	wantFacts(t, s, 23, "b", "ended@1 at 22 by sweeps, no reads")
	wantFacts(t, s, 23, "a", "live@1=5/5 v1 listed:0 of 4, no reads")
	for _, by := range []diff.By{"", diff.ByList, diff.ByInfo, diff.BySweeps} {
		end := diff.RecentEnd{CreateTime: 1, Told: second(1), Sweep: 3, Missed: 4, By: by}
		if n, got, err := decodeEnd("a", encodeEnd(7, end)); n != 7 || got != end || err != nil {
			t.Errorf("%+v comes back as %d, %+v, %v", end, n, got, err)
		}
		end.By = ""
		if n, got, err := decodeEnd("a", encodeEnd(7, end)[:endSize]); n != 7 || got != end || err != nil {
			t.Errorf("of an earlier build: %d, %+v, %v", n, got, err)
		}
	}
}
