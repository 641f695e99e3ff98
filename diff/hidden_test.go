package diff

import (
	"fmt"
	"strings"
	"testing"
)

// A room leaves the list and comes back: each is told once, with the count that the chain of its
// events has come to, and only where that is published.
func TestHiddenAndShown(t *testing.T) {
	room := func(views int64) Room { return Room{RoomID: "a", CreateTime: 1, ViewCount: views} }
	for _, told := range []bool{true, false} {
		t.Run(fmt.Sprint("told ", told), func(t *testing.T) {
			p := DefaultPolicy()
			p.MinChange = 10 // so that a count is held back
			if told {
				p.Publish = Types()
			}
			var known *Known
			var got []string
			take := func(s Sight) {
				t.Helper()
				for _, e := range s.Events {
					line := fmt.Sprintf("%s %d at %v", e.Type, e.Version, e.Time.Sub(second(0)).Seconds())
					if e.Since.After(second(0)) {
						line += fmt.Sprintf(" since %v", e.Since.Sub(second(0)).Seconds())
					}
					if e.Previous.ViewCount != nil {
						line += fmt.Sprintf(" views %d→%d", *e.Previous.ViewCount, e.Room.ViewCount)
					}
					if e.Room.Hidden {
						line += " hidden"
					}
					got = append(got, line)
				}
				known = &s.Known
			}
			page := func(n float64, r Room, reads bool) {
				take(p.See(known, RecentEnd{}, r, Look{At: second(n), Wall: second(n), Begin: second(n), LastComplete: second(n - 1), Reads: reads}, 1))
			}
			read := func(n float64, o Outcome) {
				take(p.SeeRead(known, RecentEnd{}, Read{RoomID: "a", Sent: second(n), At: second(n), Outcome: o, Room: room(7)}, Look{At: second(n), Wall: second(n), LastComplete: second(n - 1)}, 1))
			}
			page(0, room(5), true)
			page(10, room(9), true)
			read(12, Hidden)
			read(17, Hidden)
			page(20, room(30), true) // may be older than the hiding
			read(21, Live)
			page(30, room(30), true)
			read(32, Hidden)
			page(40, room(33), false) // nobody can ask
			want := "room.created 1 at 0; room.hidden 2 at 12 since 11 views 5→9 hidden; room.shown 3 at 21 since 12; " +
				"viewcount.changed 4 at 30 since 29 views 9→30; room.hidden 5 at 32 since 31 hidden; room.shown 6 at 40 since 32 views 30→33"
			if !told {
				want = "room.created 1 at 0; viewcount.changed 2 at 30 since 9 views 5→30"
			}
			if all := strings.Join(got, "; "); all != want {
				t.Errorf("got  %s\nwant %s", all, want)
			}
		})
	}
}

// The attributes of a room that a read has created are those of the read until a page
// shows it. That they differ then is no news; a change after that is.
func TestFirstPageOfAReadRoom(t *testing.T) {
	p := DefaultPolicy()
	p.Publish = Types()
	named := func(name string, views int64) Room {
		return Room{RoomID: "a", CreateTime: 1, RoomName: name, ViewCount: views}
	}
	var known *Known
	var got []string
	take := func(s Sight) {
		for _, e := range s.Events {
			got = append(got, fmt.Sprint(e.Type, " ", e.Version, " ", e.Room.RoomName))
		}
		known = &s.Known
	}
	page := func(n float64, r Room) {
		take(p.See(known, RecentEnd{}, r, Look{At: second(n), Wall: second(n), Begin: second(n), Reads: true}, 1))
	}
	take(p.SeeRead(nil, RecentEnd{}, Read{RoomID: "a", Sent: second(0), At: second(0), Outcome: Live, Room: named("of the read", 1)}, Look{At: second(0), Wall: second(0)}, 1))
	if known.Settled() {
		t.Error("no page has shown it, and it is settled")
	}
	page(1, named("of the list", 2))
	page(2, named("of the list", 2))
	if !known.Settled() {
		t.Error("a page has shown it, and it is not settled")
	}
	page(3, named("another", 2))
	want := "room.created 1 of the read; viewcount.changed 2 of the list; room.updated 3 another"
	if all := strings.Join(got, "; "); all != want {
		t.Errorf("got  %s\nwant %s", all, want)
	}
}

// A hidden room has the attributes and the count that reads show of it; the first page
// that shows it again replaces the attributes without an event. That sweeps have missed it
// was no fault of theirs.
func TestAttributesOfAHiddenRoom(t *testing.T) {
	p := DefaultPolicy()
	p.Publish = Types()
	named := func(name string, views int64) Room {
		return Room{RoomID: "a", CreateTime: 1, RoomName: name, ViewCount: views}
	}
	known := &Known{Room: named("of the list", 5), Version: 1, Published: 5, Missing: Missing{First: 1}}
	var got []string
	take := func(s Sight) {
		t.Helper()
		if s.Missed > 0 {
			t.Error("the sweeps were right to miss it")
		}
		for _, e := range s.Events {
			got = append(got, fmt.Sprint(e.Type, " ", e.Room.RoomName, " ", e.Room.ViewCount))
			if k, _ := Recall(e); e.Evidence.By == "" && k.Unlisted {
				t.Errorf("%+v: a page told it", e)
			}
			e.Evidence.By = ByInfo
			if k, _ := Recall(e); !k.Unlisted {
				t.Errorf("%+v: its attributes are those of a read", e)
			}
		}
		known = &s.Known
	}
	read := func(n float64, o Outcome, r Room) {
		t.Helper()
		take(p.SeeRead(known, RecentEnd{}, Read{RoomID: "a", Sent: second(n), At: second(n), Outcome: o, Room: r}, Look{At: second(n), Wall: second(n)}, 2))
	}
	read(1, Hidden, named("of the read", 7))
	read(2, Hidden, named("another", 6))
	if !known.Unlisted || known.Room.RoomName != "another" || known.Room.ViewCount != 7 || !known.Room.Hidden {
		t.Errorf("known %+v", known)
	}
	read(3, Live, named("yet another", 7))
	want := "room.hidden of the read 7; room.shown another 7"
	page := func(n float64, name string) Sight {
		return p.See(known, RecentEnd{}, named(name, 7), Look{At: second(n), Wall: second(n), Begin: second(n), Reads: true}, 1)
	}
	s := page(4, "of the list again")
	if len(s.Events) > 0 || s.Known.Unlisted || s.Known.Room.RoomName != "of the list again" {
		t.Errorf("the first page: %+v", s)
	}
	known = &s.Known
	if e := only(t, page(5, "new").Events); e.Type != RoomUpdated {
		t.Errorf("a change after it: %+v", e)
	}
	if all := strings.Join(got, "; "); all != want {
		t.Errorf("got  %s\nwant %s", all, want)
	}
}
