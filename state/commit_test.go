package state

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"roomwatch/diff"
)

func TestCommit(t *testing.T) {
	s := open(t, newPath(t))
	sweep(t, s, 0, "a@1=5 b@2=0")
	wantWaiting(t, s, 0, "1 *a@1=5, 2 *b@2=0")
	commit(t, s, page(t, 11, "a@1=7 c@3=0"), page(t, 12, "b@9=0"))
	wantWaiting(t, s, 2, "3 a@1:5→7, 4 +c@3=0, 5 -b@2, 6 +b@9=0")
	wantPosition(t, s, "0 of 6")

	epoch, _, _ := s.Position()
	if len(epoch) != epochSize {
		t.Errorf("epoch %q has not %d characters", epoch, epochSize)
	}
	events, err := s.Events(0, 3)
	if err != nil || len(events) != 3 {
		t.Fatalf("Events(0, 3) = %d, %v", len(events), err)
	}
	for i, e := range events {
		if want := fmt.Sprintf("%s-%016d", epoch, i+1); e.ID != want {
			t.Errorf("event %d has ID %q, want %q", i+1, e.ID, want)
		}
	}
	if st := s.Status(); st.Rooms != 3 || st.Waiting != 6 || s.counters().Sweep != 2 {
		t.Errorf("status %+v, want 3 rooms, 6 events, sweep 2", st)
	}
}

// A page that changes nothing writes nothing.
func TestCommitOfNothingWritesNothing(t *testing.T) {
	s := open(t, newPath(t))
	sweep(t, s, 0, "a@1=5/x b@2=0")
	sweep(t, s, 10, "a@1=5/x b@2=0")
	before, writes := hash(t, s.path), s.db.Stats().TxStats
	commit(t, s, page(t, 21, "a@1=5/x"), page(t, 22, "b@2=0"), page(t, 23, ""))
	commit(t, s)
	if _, err := s.EndSweep(diff.Sweep{}); err != nil {
		t.Fatal(err)
	}
	after := s.db.Stats().TxStats
	if hash(t, s.path) != before || after.GetWrite() != writes.GetWrite() {
		t.Errorf("%d writes for pages that change nothing", after.GetWrite()-writes.GetWrite())
	}
	commit(t, s, page(t, 31, "a@1=6/x"))
	if hash(t, s.path) == before {
		t.Error("a change was not written")
	}
}

// A page that cannot be written leaves nothing behind, of itself or of those in
// its transaction.
func TestCommitOfBadPage(t *testing.T) {
	s := open(t, newPath(t))
	commit(t, s, page(t, 1, "a@1=5"))
	before := hash(t, s.path)
	for _, id := range []string{"", strings.Repeat("x", bbolt.MaxKeySize+1)} {
		bad := diff.Page{At: second(3), Rooms: []diff.Room{{RoomID: "c"}, {RoomID: id}}}
		if err := s.Commit(page(t, 2, "a@1=6 b@1=0"), bad); err == nil {
			t.Errorf("a room with an ID of %d bytes was committed", len(id))
		}
		if hash(t, s.path) != before {
			t.Error("something of the pages was written")
		}
		wantPosition(t, s, "0 of 1")
		wantWaiting(t, s, 1, "")
	}
	commit(t, s, page(t, 4, "a@1=7"))
	wantWaiting(t, s, 1, "2 a@1:5→7")
}

// Many pages are one transaction while they change little. Where they change much
// they are several, and what comes before one that fails stays.
func TestCommitInParts(t *testing.T) {
	s := open(t, newPath(t))
	const pages = 120
	shown := make([]diff.Page, pages)
	for i := range shown {
		shown[i].At = second(1)
		for j := range 20 {
			shown[i].Rooms = append(shown[i].Rooms, diff.Room{RoomID: fmt.Sprintf("%d-%d", i, j), CreateTime: 1})
		}
	}
	transactions, failAt := 0, 3
	s.commit = func(tx *bbolt.Tx) error {
		if transactions++; transactions == failAt {
			return errDisk
		}
		return tx.Commit()
	}
	if err := s.Commit(shown...); !errors.Is(err, errDisk) {
		t.Errorf("Commit = %v, want the disk's error", err)
	}
	wantPosition(t, s, "0 of 2000")
	commit(t, s, shown...)
	wantPosition(t, s, "0 of 2400")
	for i := range shown {
		shown[i].Rooms[i%20].ViewCount++
	}
	transactions, failAt = 0, 0
	commit(t, s, shown...)
	wantPosition(t, s, "0 of 2520")
	if transactions != 1 {
		t.Errorf("%d pages with a change each took %d transactions", pages, transactions)
	}
}

// What is recognised by its fingerprint is what See would have left alone.
func TestSettledRoomsAreUnchanged(t *testing.T) {
	full := diff.Room{RoomID: "a", CreateTime: 1, RoomName: "n", OwnerAccount: "o", CoverURL: "c", Category: []int64{1, 2}, ActivityStatus: 3, ViewCount: 4}
	changes := map[string]func(*diff.Room){
		"nothing":        func(*diff.Room) {},
		"CreateTime":     func(r *diff.Room) { r.CreateTime = 2 },
		"RoomName":       func(r *diff.Room) { r.RoomName = "nn" },
		"no RoomName":    func(r *diff.Room) { r.RoomName = "" },
		"OwnerAccount":   func(r *diff.Room) { r.OwnerAccount = "" },
		"CoverURL":       func(r *diff.Room) { r.CoverURL = "cc" },
		"Category":       func(r *diff.Room) { r.Category = []int64{2, 1} },
		"no Category":    func(r *diff.Room) { r.Category = nil },
		"ActivityStatus": func(r *diff.Room) { r.ActivityStatus = 0 },
		"ViewCount":      func(r *diff.Room) { r.ViewCount = 5 },
		"all":            func(r *diff.Room) { *r = diff.Room{RoomID: "a", CreateTime: 1} },
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			s := open(t, newPath(t))
			commit(t, s, diff.Page{At: second(1), Rooms: []diff.Room{full}})
			now := full
			now.Category = slices.Clone(full.Category)
			change(&now)
			writes := s.db.Stats().TxStats
			commit(t, s, diff.Page{At: second(2), Rooms: []diff.Room{now}})
			after := s.db.Stats().TxStats
			if wrote := after.GetWrite() > writes.GetWrite(); wrote == (name == "nothing") {
				t.Errorf("changed %s: written %t", name, wrote)
			}
		})
	}

	t.Run("empty and missing Category are the same", func(t *testing.T) {
		s := open(t, newPath(t))
		r := diff.Room{RoomID: "a", CreateTime: 1}
		commit(t, s, diff.Page{At: second(1), Rooms: []diff.Room{r}})
		before := hash(t, s.path)
		r.Category = []int64{}
		commit(t, s, diff.Page{At: second(2), Rooms: []diff.Room{r}})
		if hash(t, s.path) != before {
			t.Error("written")
		}
	})
	t.Run("marked", func(t *testing.T) {
		s := open(t, newPath(t))
		sweep(t, s, 0, "a@1=5 b@1=0")
		sweep(t, s, 10, "b@1=0")
		if n := s.Status().Missing; n != 1 {
			t.Fatalf("%d rooms are missing, want 1", n)
		}
		sweep(t, s, 20, "a@1=5 b@1=0")
		if n := s.Status().Missing; n != 0 {
			t.Errorf("%d rooms are missing, want none: a sight ends the mark", n)
		}
		if r := s.Status().MissRate; r < 0.0009 {
			t.Errorf("miss rate %v: the false miss was not counted", r)
		}
	})
	t.Run("held back", func(t *testing.T) {
		p := diff.DefaultPolicy()
		p.MinInterval = 10e9
		s := open(t, newPath(t), p)
		commit(t, s, page(t, 0, "a@1=5"))
		commit(t, s, page(t, 1, "a@1=6"))
		commit(t, s, page(t, 2, "a@1=7"))
		commit(t, s, page(t, 3, "a@1=7"))
		wantWaiting(t, s, 1, "2 a@1:5→6")
		commit(t, s, page(t, 11, "a@1=7"))
		wantWaiting(t, s, 1, "2 a@1:5→6, 3 a@1:6→7")
	})
}

// The interval between two view counts is that of the wall clock. After it was
// set back it begins anew; the times of the events stand still meanwhile.
func TestIntervalOfAClockSetBack(t *testing.T) {
	p := diff.DefaultPolicy()
	p.MinInterval = 10e9
	s := open(t, newPath(t), p)
	views := 0
	for _, at := range []float64{0, 20, 3600, 40, 45, 51, 55, 61} {
		views++
		commit(t, s, page(t, at, fmt.Sprintf("a@1=%d", views)))
	}
	wantWaiting(t, s, 1, "2 a@1:1→2, 3 a@1:2→3, 4 a@1:3→4, 5 a@1:4→6, 6 a@1:6→8")
	events, err := s.Events(2, 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		if !e.Time.Equal(second(3600)) {
			t.Errorf("event %d is of %s, want the newest time that was seen", e.Seq, e.Time)
		}
	}
}

// Events come from memory as they come from the file.
func TestEventsFromMemoryAndFile(t *testing.T) {
	p := diff.DefaultPolicy()
	p.Publish = diff.Types()
	s := open(t, newPath(t), p)
	r := diff.Room{RoomID: "a b.c>\xff日", CreateTime: 1, RoomName: "\xfe", ViewCount: 4}
	commit(t, s, diff.Page{At: second(1), Rooms: []diff.Room{r, {RoomID: "z", CreateTime: 1}}})
	if _, err := s.EndSweep(ended(0, diff.Page{Rooms: []diff.Room{r, {RoomID: "z", CreateTime: 1}}})); err != nil {
		t.Fatal(err)
	}
	r.Category, r.ViewCount, r.ActivityStatus = []int64{1, 2}, 5, 7
	commit(t, s, diff.Page{At: second(11), Rooms: []diff.Room{r}})
	r.Category, r.OwnerAccount, r.CoverURL = nil, "o", "c"
	commit(t, s, diff.Page{At: second(12), Rooms: []diff.Room{r}})
	r.CreateTime = 9
	commit(t, s, diff.Page{At: second(13), Rooms: []diff.Room{r}})

	memory, err := s.Events(0, 100)
	if err != nil {
		t.Fatal(err)
	}
	file, err := kill(t, s).Events(0, 100)
	if err != nil {
		t.Fatal(err)
	}
	if len(memory) != 7 || len(file) != 7 {
		t.Fatalf("%d events from memory, %d from the file, want 7", len(memory), len(file))
	}
	for i := range memory {
		if memory[i].Type == diff.RoomUpdated && memory[i].Previous.Category == nil {
			t.Errorf("event %s does not tell the category before", show(memory[i]))
		}
		if c := memory[i].Previous.Category; c != nil && *c == nil {
			*c = []int64{} // nil and empty are the same
		}
		if !reflect.DeepEqual(memory[i], file[i]) {
			t.Errorf("event %d\nfrom memory   %+v\nfrom the file %+v", i+1, memory[i], file[i])
		}
	}
}

// The wall clock can be set back; the times of events cannot, and nothing has
// happened since a moment after it was seen.
func TestClockSetBack(t *testing.T) {
	tests := []struct {
		name   string
		policy func(*diff.Policy)
		before func(*testing.T, *Store) // up to second 100
		want   string                   // time and since of viewcount.changed, which is read at second 50
	}{
		{name: "after an event",
			before: func(t *testing.T, s *Store) { commit(t, s, page(t, 100, "a@1=5")) },
			want:   "100 100"},
		{name: "after a sight without an event",
			policy: func(p *diff.Policy) { p.MinChange = 3 },
			before: func(t *testing.T, s *Store) { commit(t, s, page(t, 90, "a@1=3")); commit(t, s, page(t, 100, "a@1=5")) },
			want:   "100 90"},
		{name: "after a sweep without an event",
			before: func(t *testing.T, s *Store) { sweep(t, s, 10, "a@1=5"); sweep(t, s, 98, "a@1=5") },
			want:   "100 98"},
		{name: "in a sweep without an event",
			before: func(t *testing.T, s *Store) {
				sweep(t, s, 10, "a@1=5")
				e := ended(98, page(t, 0, "a@1=5"))
				e.End = second(40)
				if _, err := s.EndSweep(e); err != nil {
					t.Fatal(err)
				}
			},
			want: "50 40"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := diff.DefaultPolicy()
			if tt.policy != nil {
				tt.policy(&p)
			}
			s := open(t, newPath(t), p)
			tt.before(t, s)
			_, _, last := s.Position()
			commit(t, s, page(t, 50, "a@1=8"))
			events, err := s.Events(last, 10)
			if err != nil || len(events) != 1 {
				t.Fatalf("%d events, %v, want one", len(events), err)
			}
			at, since := events[0].Time, events[0].Since
			if got := fmt.Sprint(at.Sub(second(0)).Seconds(), since.Sub(second(0)).Seconds()); got != tt.want {
				t.Errorf("time and since: %s, want %s", got, tt.want)
			}
			if since.After(at) {
				t.Errorf("it happened after %v, and was seen at %v", since, at)
			}
		})
	}
}

// A sight is remembered as long as it is a better witness than the sweeps.
func TestSinceOverRestarts(t *testing.T) {
	s := open(t, newPath(t))
	sweep(t, s, 0, "a@1=5 b@1=0 c@1=0 d@1=0")
	sweep(t, s, 10, "a@1=5 b@1=1 c@1=0 d@1=0")
	sweep(t, s, 20, "a@1=5 b@1=1 d@1=0") // c is missed
	s = kill(t, s)
	commit(t, s, page(t, 101, "a@1=6")) // this sweep is never ended
	s = reopen(t, s)
	sweep(t, s, 200, "a@1=7 b@1=2") // c ends, d is missed
	s = kill(t, s)
	sweep(t, s, 210, "a@1=7 b@1=2") // d ends
	events, err := s.Events(5, 100)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range events {
		got = append(got, fmt.Sprintf("%s since %v", show(e), e.Since.Sub(second(0)).Seconds()))
	}
	want := "6 a@1:5→6 since 20, 7 a@1:6→7 since 101, 8 b@1:1→2 since 20, 9 -c@1 since 10, 10 -d@1 since 20"
	if got := strings.Join(got, ", "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// A signal is given after every commit with events, and there is never more
// than one that waits.
func TestCommitted(t *testing.T) {
	s := open(t, newPath(t))
	signalled := func() bool {
		select {
		case <-s.Committed():
			return true
		default:
			return false
		}
	}
	if signalled() {
		t.Error("a signal before the first commit")
	}
	commit(t, s, page(t, 1, "a@1=5"))
	commit(t, s, page(t, 2, "a@1=6"))
	if !signalled() || signalled() {
		t.Error("want one signal for two commits")
	}
	commit(t, s, page(t, 3, "a@1=6"))
	if signalled() {
		t.Error("a signal for a commit of nothing")
	}
}
