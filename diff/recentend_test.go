package diff

import (
	"testing"
	"time"
)

// What a row means for a life that was told as over, at second 20 of sweep 3.
func TestRecentEnd(t *testing.T) {
	const day = 24 * 3600
	tests := []struct {
		name      string
		row       string
		sweep     uint64
		begin, at float64
		want      string
	}{
		{name: "in the sweep that was going on", row: "a@5=1", sweep: 3, begin: 10, at: 21},
		{name: "a moment later", row: "a@5=1", sweep: 3, begin: 20, at: 21},
		{name: "in a sweep that began after an end which the stream had", row: "a@5=1", sweep: 3, begin: 20.1, at: 21, want: "+a@5=1"},
		{name: "in the next sweep", row: "a@5=1", sweep: 4, begin: 30, at: 31, want: "+a@5=1"},
		{name: "in the next sweep, the clock set back", row: "a@5=1", sweep: 4, begin: -3600, at: 21, want: "+a@5=1"},
		{name: "of a page that does not say when its sweep began", row: "a@5=1", sweep: 3, begin: -1e9, at: 21},

		{name: "an older life", row: "a@4=1", sweep: 3, begin: 10, at: 21},
		{name: "an older life in a later sweep", row: "a@4=1", sweep: 9, begin: 90, at: 91},
		{name: "an older life for a day", row: "a@4=1", sweep: 99, begin: 20 + day - 1, at: 20 + day},
		{name: "an older life after a day", row: "a@4=1", sweep: 99, begin: 20 + day, at: 20 + day + 0.001, want: "*a@4=1"},
		{name: "the same life after a day", row: "a@5=1", sweep: 3, begin: 10, at: 20 + day + 0.001, want: "+a@5=1"},

		{name: "a newer life", row: "a@6=1", sweep: 3, begin: 10, at: 21, want: "+a@6=1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			end := RecentEnd{CreateTime: 5, Told: second(20), Sweep: 3, Missed: 2}
			l := Look{At: second(tt.at), Sweep: tt.sweep, Begin: second(tt.begin), Baseline: true, WatchedSince: time.Unix(5, 0)}
			if tt.begin < -1e6 {
				l.Begin = time.Time{}
			}
			s := DefaultPolicy().See(nil, end, rooms(t, tt.row)[0], l, 3)
			if got := show(s.Events); got != tt.want || s.Stale != (tt.want == "") || s.Changed == s.Stale {
				t.Errorf("See(%s) = %+v, want %q", tt.row, s, tt.want)
			}
			if missed := uint64(2); (s.Missed == missed) != (tt.want == "+a@5=1") {
				t.Errorf("%d missed sweeps", s.Missed)
			}
		})
	}
}

// A stream of an older build can have a life that came back after the end of a
// newer one: the newer one does not take its place in the sweep that saw both.
func TestRecentEndBesideKnown(t *testing.T) {
	known := &Known{Room: rooms(t, "a@1=5")[0], Version: 1, Published: 5}
	end := RecentEnd{CreateTime: 5, Told: second(20), Sweep: 3}
	l := Look{At: second(21), Sweep: 3, Begin: second(10)}
	for row, want := range map[string]string{"a@1=6": "a@1:5→6", "a@5=1": "", "a@4=1": "", "a@6=1": "-a@1 +a@6=1"} {
		s := DefaultPolicy().See(known, end, rooms(t, row)[0], l, 3)
		if got := show(s.Events); got != want || want == "" && (s.Changed || s.Known.Room.Key() != known.Room.Key()) {
			t.Errorf("See(%s) = %+v, want %q", row, s, want)
		}
	}
}

// An end is not told before its sweep began, however the clock was set in it.
func TestVerdictRecentEnd(t *testing.T) {
	v := Verdict{History: History{Complete: 7, Begin: second(10)}}
	k := Known{Room: rooms(t, "a@5=1")[0], Missing: Missing{First: 6}}
	for at, told := range map[float64]float64{-60: 10, 12: 12} {
		want := RecentEnd{CreateTime: 5, Told: second(told), Sweep: 3, Missed: 2}
		if got := v.RecentEnd(k, second(at), 3); got != want {
			t.Errorf("told at second %v: %+v, want %+v", at, got, want)
		}
	}
}
