package state

import (
	"slices"
	"testing"
	"time"

	"roomwatch/diff"
)

// A gapTest reads a list of one room again and again.
type gapTest struct {
	*testing.T
	s *Store
}

// sweep reads rooms n seconds after noon; it is complete a second later.
func (t *gapTest) sweep(n float64, complete bool, rooms ...diff.Room) {
	t.Helper()
	seen := diff.NewSeen()
	for _, r := range rooms {
		seen.Add(r.Key())
	}
	if err := t.s.Commit(diff.Page{Begin: second(n), At: second(n + 1), Rooms: rooms}); err != nil {
		t.Fatal(err)
	}
	if _, err := t.s.EndSweep(diff.Sweep{Begin: second(n), End: second(n + 1), Complete: complete, Seen: seen}); err != nil {
		t.Fatal(err)
	}
}

// marks returns the events so far, with a star at those of a gap.
func (t *gapTest) marks() (marks []string) {
	t.Helper()
	all, err := t.s.Events(0, 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		star := ""
		if e.Gap {
			star = "*"
		}
		marks = append(marks, string(e.Type)+" "+e.Room.RoomID+star)
	}
	return marks
}

func (t *gapTest) wantGaps(when string, want ...diff.Gap) {
	t.Helper()
	var got []diff.Gap
	for _, g := range t.s.gaps {
		got = append(got, g.gap())
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s: gaps %v, want %v", when, got, want)
	}
}

func live(id string, views int64, began float64) diff.Room {
	return diff.Room{RoomID: id, CreateTime: second(began).Unix(), ViewCount: views}
}

// Only what may have happened before the gap was over is marked, whatever sweep tells it.
func TestEventsOfAGap(t *testing.T) {
	g := &gapTest{t, open(t, newPath(t))}
	a, b := live("a", 1, -60), live("b", 1, -60)
	g.sweep(0, true, a, b)
	g.s = reopen(t, g.s)
	g.sweep(600, false, live("a", 2, -60), live("c", 1, 300)) // b is gone
	g.wantGaps("while no sweep is complete")
	g.sweep(610, true, live("a", 3, -60), live("c", 1, 300), live("d", 1, 612))
	g.wantGaps("afterwards", diff.Gap{From: second(1), To: second(610)})
	g.sweep(620, true, live("a", 4, -60), live("c", 1, 300), live("d", 1, 612))
	g.sweep(630, true, live("a", 5, -60), live("d", 1, 612))
	g.sweep(640, true, live("a", 5, -60), live("d", 1, 612))
	g.sweep(650, true, live("a", 5, -60), live("d", 1, 612))
	want := []string{
		"room.created a", "room.created b",
		"viewcount.changed a*", "room.created c*", // of the gap
		"viewcount.changed a*", "room.created d", // of the sweep that ended it
		"viewcount.changed a", "room.ended b*", "viewcount.changed a", "room.ended c",
	}
	got := g.marks()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("events %q, want %q", got, want)
	}
	if p := g.s.Pulse(); p.Sweep == nil || p.Sweep.Rooms != 2 || !p.Sweep.End.Equal(second(651)) || p.Sweep.Number != g.s.Status().Sweep-1 || !p.Until.Equal(second(651)) || p.Rooms != 2 {
		t.Errorf("pulse %+v of %+v", p, p.Sweep)
	}
}

// What is a gap, and what is none.
func TestGaps(t *testing.T) {
	tests := []struct {
		name   string
		sweeps [][2]float64 // begin and end of each, complete
		want   []diff.Gap
	}{
		{name: "two minutes", sweeps: [][2]float64{{0, 1}, {121, 122}}},
		{name: "more", sweeps: [][2]float64{{0, 1}, {121.001, 122}}, want: []diff.Gap{{From: second(1), To: second(121.001)}}},
		{name: "two sweeps of a long list", sweeps: [][2]float64{{0, 500}, {1500, 2000}}},
		{name: "more than two", sweeps: [][2]float64{{0, 500}, {1501, 2000}}, want: []diff.Gap{{From: second(500), To: second(1501)}}},
		{name: "two of them", sweeps: [][2]float64{{0, 1}, {601, 602}, {612, 613}, {1000, 1001}}, want: []diff.Gap{{From: second(1), To: second(601)}, {From: second(613), To: second(1000)}}},
		{name: "a clock that was set back", sweeps: [][2]float64{{0, 1}, {-3600, -3599}, {-3590, -3589}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := &gapTest{t, open(t, newPath(t))}
			for _, sw := range tt.sweeps {
				for at := sw[0]; at < sw[1]; at += 100 { // pages come all the time
					if err := g.s.Commit(diff.Page{Begin: second(sw[0]), At: second(at)}); err != nil {
						t.Fatal(err)
					}
				}
				if _, err := g.s.EndSweep(diff.Sweep{Begin: second(sw[0]), End: second(sw[1]), Complete: true, Seen: diff.NewSeen()}); err != nil {
					t.Fatal(err)
				}
			}
			g.wantGaps("in the end", tt.want...)
			if _, waits := g.s.Gap(); waits {
				select {
				case <-g.s.GapEnded():
				default:
					t.Error("nobody is told")
				}
			}
		})
	}
}

// A machine that slept in the middle of a sweep did not watch.
func TestSweepThatWasCutByAGap(t *testing.T) {
	g := &gapTest{t, open(t, newPath(t))}
	g.sweep(0, true, live("a", 1, -60))
	for _, at := range []float64{11, 611} {
		if err := g.s.Commit(diff.Page{Begin: second(10), At: second(at), Rooms: []diff.Room{live("a", int64(at), -60)}}); err != nil {
			t.Fatal(err)
		}
	}
	seen := diff.NewSeen()
	seen.Add(live("a", 1, -60).Key())
	if _, err := g.s.EndSweep(diff.Sweep{Begin: second(10), End: second(612), Complete: true, Seen: seen}); err != nil {
		t.Fatal(err)
	}
	g.wantGaps("awake", diff.Gap{From: second(1), To: second(611)})
	if got, want := g.marks(), []string{"room.created a", "viewcount.changed a", "viewcount.changed a*"}; !slices.Equal(got, want) {
		t.Errorf("events %q, want %q", got, want)
	}
}

// A gap waits over restarts until the stream has it.
func TestGapWaitsUntilItIsTold(t *testing.T) {
	g := &gapTest{t, open(t, newPath(t))}
	first, second := diff.Gap{From: second(1), To: second(601)}, diff.Gap{From: second(602), To: second(1000)}
	for _, n := range []float64{0, 601, 1000} {
		g.sweep(n, true)
	}
	g.s = kill(t, g.s)
	g.wantGaps("after a kill", first, second)
	if got, waits := g.s.Gap(); !waits || got != first {
		t.Errorf("Gap() = %v, %t, want %v", got, waits, first)
	}
	if err := g.s.Told(first); err != nil {
		t.Fatal(err)
	}
	g.s = kill(t, g.s)
	g.wantGaps("after the first was told", second)
	if err := g.s.Rebuild(lastEvent("EPOCH", 7), time.Time{}, stream(nil, nil)); err != nil {
		t.Fatal(err)
	}
	g.wantGaps("after a rebuild")
}

// What the stream knows of the watch counts where the state has seen less.
func TestWatchedByAnother(t *testing.T) {
	tests := []struct {
		name         string
		until, gapTo time.Time
		want         []diff.Gap
		gap          bool // of a change since noon
	}{
		{name: "the stream knows nothing", want: []diff.Gap{{From: second(1), To: second(600)}}, gap: true},
		{name: "another has watched", until: second(590), gap: false},
		{name: "another has stopped, too", until: second(300), want: []diff.Gap{{From: second(300), To: second(600)}}, gap: true},
		{name: "another has told of a gap", until: second(590), gapTo: second(300), gap: true},
		{name: "older than the state", until: second(-100), gapTo: second(-100), want: []diff.Gap{{From: second(1), To: second(600)}}, gap: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := &gapTest{t, open(t, newPath(t))}
			g.sweep(0, true, live("a", 1, -60))
			g.s = reopen(t, g.s)
			if err := g.s.Watched(tt.until, tt.gapTo); err != nil {
				t.Fatal(err)
			}
			g.s = reopen(t, g.s)
			g.sweep(600, true, live("a", 2, -60))
			g.wantGaps("in the end", tt.want...)
			want := "viewcount.changed a"
			if tt.gap {
				want += "*"
			}
			if got := g.marks(); got[1] != want {
				t.Errorf("events %q, want %s", got, want)
			}
		})
	}
}

// Another's clock that is far ahead hides no gap for longer than until now.
func TestWatchedInTheFuture(t *testing.T) {
	g := &gapTest{t, open(t, newPath(t))}
	if err := g.s.Watched(time.Now().Add(time.Hour), time.Time{}); err != nil {
		t.Fatal(err)
	}
	if until := g.s.Pulse().Until; until.After(time.Now()) {
		t.Errorf("watched until %v", until)
	}
}

// The outbox of a build that knew no gaps has none.
func TestOldRowsHaveNoGap(t *testing.T) {
	enc := newTestEncoder(t)
	v, err := enc.encodeEvent(diff.Event{Type: diff.RoomEnded, Gap: true, Version: 2})
	if err != nil {
		t.Fatal(err)
	}
	if e, err := decodeEvent("E", 1, v); err != nil || !e.Gap {
		t.Errorf("%+v, %v", e, err)
	}
	if v, err = enc.encodeEvent(diff.Event{Type: diff.RoomEnded, Version: 2}); err != nil {
		t.Fatal(err)
	}
	if e, err := decodeEvent("E", 1, v); err != nil || e.Gap {
		t.Errorf("%+v, %v", e, err)
	}
}
