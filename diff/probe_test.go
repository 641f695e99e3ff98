package diff

import (
	"maps"
	"slices"
	"testing"
	"time"
)

// probe reads some of the rooms as they are, or as they were up to two minutes ago.
func (c *worldCourt) probe() {
	begin := c.now()
	list := c.old[len(c.old)-1]
	if c.rng.IntN(2) == 0 {
		list = c.old[max(0, len(c.old)-1-c.rng.IntN(120*ticksPerSecond))]
	}
	c.later(func() {}, func(now time.Time) {
		var rooms []Room
		for _, id := range slices.Sorted(maps.Keys(list)) {
			if c.rng.IntN(3) > 0 {
				rooms = append(rooms, list[id])
			}
		}
		c.court.SawProbe(rooms)
		l := Look{At: now, Wall: now, Sweep: c.w.sweep, Begin: begin, Reads: true}
		for _, r := range rooms {
			var known *Known
			if k, ok := c.w.rooms[r.RoomID]; ok {
				known = &k
			}
			s := c.w.policy.SeeProbe(known, c.w.ends[r.RoomID], r, l, 0)
			if s.Changed {
				c.w.rooms[r.RoomID] = s.Known
				c.probed += len(s.Events)
			}
			if s.Ask {
				c.due[r.RoomID] = c.tick
			}
			c.w.events = append(c.w.events, s.Events...)
		}
	})
}

// What a probe shows of a life is believed where its count has risen; what is not known, or
// was told as over, is for a read to find out; all else means nothing.
func TestSeeProbe(t *testing.T) {
	known := Known{Room: Room{RoomID: "a", CreateTime: 5, ViewCount: 10, RoomName: "x"}, Version: 3, Published: 10}
	missing, hidden, unlisted, held := known, known, known, known
	missing.Missing = Missing{First: 2}
	hidden.Room.Hidden = true
	unlisted.Unlisted = true
	held.Published = 14
	ended := RecentEnd{CreateTime: 5, Told: second(9), Sweep: 4}
	for _, tt := range []struct {
		name  string
		known *Known
		end   RecentEnd
		row   Room
		want  string // ask, pass, or the events
	}{
		{"an unknown room", nil, RecentEnd{}, Room{RoomID: "a", CreateTime: 5}, "ask"},
		{"the life that was told as over", nil, ended, Room{RoomID: "a", CreateTime: 5, ViewCount: 99}, "ask"},
		{"a life after it", nil, ended, Room{RoomID: "a", CreateTime: 6}, "ask"},
		{"a life before it", nil, ended, Room{RoomID: "a", CreateTime: 4}, "pass"},
		{"a newer life", &known, RecentEnd{}, Room{RoomID: "a", CreateTime: 6}, "ask"},
		{"an older life", &known, RecentEnd{}, Room{RoomID: "a", CreateTime: 4, ViewCount: 99}, "pass"},
		{"a count that is known", &known, RecentEnd{}, Room{RoomID: "a", CreateTime: 5, ViewCount: 10, RoomName: "x"}, "pass"},
		{"another name", &known, RecentEnd{}, Room{RoomID: "a", CreateTime: 5, ViewCount: 10, RoomName: "y"}, "pass"},
		{"a lower count", &known, RecentEnd{}, Room{RoomID: "a", CreateTime: 5, ViewCount: 9}, "pass"},
		{"a higher count", &known, RecentEnd{}, Room{RoomID: "a", CreateTime: 5, ViewCount: 11, RoomName: "y"}, "a@5:10→11"},
		{"a higher count of a missing room", &missing, RecentEnd{}, Room{RoomID: "a", CreateTime: 5, ViewCount: 11}, "a@5:10→11"},
		{"a higher count of a room that no page has shown", &unlisted, RecentEnd{}, Room{RoomID: "a", CreateTime: 5, ViewCount: 11}, "a@5:10→11"},
		{"a higher count than the page's, not than the one told", &held, RecentEnd{}, Room{RoomID: "a", CreateTime: 5, ViewCount: 13}, "pass"},
		{"a hidden room", &hidden, RecentEnd{}, Room{RoomID: "a", CreateTime: 5, ViewCount: 11}, "pass"},
	} {
		p := DefaultPolicy()
		p.Publish = Types()
		s := p.SeeProbe(tt.known, tt.end, tt.row, Look{At: second(10), Wall: second(10), Begin: second(9), Sweep: 4, Reads: true}, 3)
		got := show(s.Events)
		switch {
		case s.Ask && !s.Stale || s.Stale && (s.Changed || len(s.Events) > 0 || tt.known != nil && s.Known.Room.ViewCount != tt.known.Room.ViewCount):
			t.Errorf("%s: sight %+v", tt.name, s)
		case s.Ask:
			got = "ask"
		case s.Stale:
			got = "pass"
		case s.Known.Room.RoomName != "x" || s.Known.Missing.First > 0 || s.Known.Unlisted != tt.known.Unlisted || s.Missed != tt.known.Missing.Sweeps(3):
			t.Errorf("%s: known is %+v", tt.name, s.Known)
		}
		if got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// A probe that shows a room marks its read on its way and takes back its absence, as a page
// does. But no control is a room that only a probe has shown, which may be an old copy.
func TestProbeIsASight(t *testing.T) {
	gone := func(w *Witnesses, n float64, probed bool) {
		w.Ask("a")
		if probed {
			w.SawProbe([]Room{{RoomID: "a", CreateTime: 1}})
		}
		w.Hear(Read{RoomID: "a", Sent: second(n), At: second(n), Outcome: Gone})
	}
	w := NewWitnesses(DefaultPolicy())
	w.SawProbe([]Room{{RoomID: "b", CreateTime: 1}})
	gone(w, 1, false)
	if id, ok := w.Control(second(1)); ok {
		t.Errorf("%s is a control, and only a probe has shown it", id)
	}
	if a := w.gone["a"]; a.witnesses() != 1 {
		t.Error("no witness")
	}
	gone(w, 5, true)
	if len(w.gone) > 0 {
		t.Error("a probe has shown the room while two reads did not find it, and it is absent")
	}
}
