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
		want := RecentEnd{CreateTime: 5, Told: second(told), Sweep: 3, Missed: 2, By: BySweeps}
		if got := v.RecentEnd(k, second(at), 3); got != want {
			t.Errorf("told at second %v: %+v, want %+v", at, got, want)
		}
	}
}

// Where point reads are answered, a life that was told as over is read before it is
// believed again: the list may lag behind the reads.
func TestEndedLifeIsReadFirst(t *testing.T) {
	p := DefaultPolicy()
	end := RecentEnd{CreateTime: 5, Told: second(10), Sweep: 3}
	row := Room{RoomID: "a", CreateTime: 5}
	page := Look{At: second(12), Wall: second(12), Sweep: 4, Begin: second(11), Reads: true}
	if s := p.See(nil, end, row, page, 0); !s.Stale || !s.Ask || s.Changed {
		t.Errorf("a page shows it: %+v", s)
	}
	page.Begin, page.Sweep = second(9), 3
	if s := p.See(nil, end, row, page, 0); !s.Stale || s.Ask {
		t.Errorf("a page of a sweep that began before: %+v", s)
	}
	row.CreateTime = 6
	if s := p.See(nil, end, row, page, 0); only(t, s.Events).Type != RoomCreated {
		t.Errorf("a newer life: %+v", s)
	}
	row.CreateTime = 5
	for sent, want := range map[float64]bool{9: false, 11: true} {
		r := Read{RoomID: "a", Sent: second(sent), At: second(12), Outcome: Live, Room: row}
		if s := p.SeeRead(nil, end, r, page, 0); s.Changed != want || s.Stale == want {
			t.Errorf("a read that was sent at %v s shows it: %+v", sent, s)
		}
	}
}

// A read proves that a known life lives, and changes nothing that the list has told but
// a count that is higher.
func TestReadOfKnownLife(t *testing.T) {
	p := DefaultPolicy()
	p.Publish = Types()
	k := Known{Room: Room{RoomID: "a", CreateTime: 5, RoomName: "x", ViewCount: 7}, Version: 2, Published: 7, SeenAt: second(1), Missing: Missing{First: 3, LastSeen: second(2)}}
	r := Read{RoomID: "a", Sent: second(9), At: second(10), Outcome: Live, Room: Room{RoomID: "a", CreateTime: 5, RoomName: "y", ViewCount: 9}}
	s := p.SeeRead(&k, RecentEnd{}, r, Look{At: second(10), Wall: second(10), Sweep: 4}, 4)
	if e := only(t, s.Events); e.Type != ViewCountChanged || *e.Previous.ViewCount != 7 || s.Known.Missing != (Missing{}) || s.Missed != 2 || s.Known.Room.RoomName != "x" || s.Known.Room.ViewCount != 9 {
		t.Errorf("%+v", s)
	}
	for lowers, want := range map[bool]int64{false: 7, true: 5} {
		lower := r
		lower.Room.ViewCount, lower.Lowers = 5, lowers
		if s := p.SeeRead(&k, RecentEnd{}, lower, Look{At: second(10), Wall: second(10), Sweep: 4}, 4); s.Known.Room.ViewCount != want {
			t.Errorf("a lower count, believed %t: %+v", lowers, s)
		}
	}
	r.Room.CreateTime = 6
	if s := p.SeeRead(&k, RecentEnd{}, r, Look{At: second(10), Wall: second(10), Sweep: 4}, 4); len(s.Events) != 2 || s.Known.Room.RoomName != "y" {
		t.Errorf("a newer life: %+v", s)
	}
	r.Room.CreateTime = 4
	if s := p.SeeRead(&k, RecentEnd{}, r, Look{At: second(10)}, 4); !s.Stale || s.Changed {
		t.Errorf("an older life: %+v", s)
	}
}
