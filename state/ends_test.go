package state

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"roomwatch/diff"
)

// A list that is an old copy shows a life before one that has ended: it is not
// brought back, also not after a restart. The one that ended last is, by a later
// sweep, and counts as missed.
func TestOldCopyAfterTheEndOfANewerLife(t *testing.T) {
	s := open(t, newPath(t))
	sweep(t, s, 0, "a@1=5 b@1=0")
	sweep(t, s, 10, "a@9=0 b@1=0")
	sweep(t, s, 20, "b@1=0")
	sweep(t, s, 30, "b@1=0")
	wantWaiting(t, s, 0, "1 *a@1=5, 2 *b@1=0, 3 -a@1, 4 +a@9=0, 5 -a@9")
	for _, again := range []func(*testing.T, *Store) *Store{
		func(*testing.T, *Store) *Store { return s },
		kill,
		reopen,
	} {
		s = again(t, s)
		commit(t, s, page(t, 41, "a@1=5 b@1=0"))
		wantWaiting(t, s, 5, "")
	}
	before := s.Status().MissRate
	sweep(t, s, 50, "a@9=3 b@1=0")
	wantWaiting(t, s, 5, "6 +a@9=3")
	if after := s.Status().MissRate; after < before+0.001 {
		t.Errorf("miss rate %v, and %v after a room came back", before, after)
	}
}

// A rebuild takes the ends from the stream. What the sweep that is going on has
// read before they were told brings nothing back; the next sweep does.
func TestRebuildTakesEnds(t *testing.T) {
	told := func(room string, created int64, at float64) diff.Event {
		return diff.Event{Type: diff.RoomEnded, Room: diff.Room{RoomID: room, CreateTime: created}, Version: 2, Time: second(at)}
	}
	s := open(t, newPath(t))
	commit(t, s, page(t, 100, "a@1=5")) // the sweep began at second 99
	_, _, given := s.Position()
	err := s.Rebuild(diff.Event{ID: eventID(epoch, 7)}, time.Unix(2, 0), stream([]diff.Event{
		told("yesterday", 1, -24*3600), told("before", 1, 98), told("again", 1, 98.5), told("", 1, 99),
		{Type: diff.RoomCreated, Room: diff.Room{RoomID: "again", CreateTime: 2}, Version: 1, Time: second(98.7)},
		told("meanwhile", 5, 101), told("a", 1, 101), told("again", 2, 102),
	}, nil))
	if err != nil || given != 1 {
		t.Fatal(err, given)
	}
	p := page(t, 103, "yesterday@1=0 before@1=0 again@1=0 again@2=0 meanwhile@5=0 meanwhile@4=0 a@1=5")
	p.Begin = second(99)
	commit(t, s, p)
	wantWaiting(t, s, 0, "1 *yesterday@1=0, 2 +before@1=0")
	s = kill(t, s) // no sweep survives that
	commit(t, s, page(t, 105, "meanwhile@4=0 again@1=0 meanwhile@5=0 a@1=5 again@3=0"))
	wantWaiting(t, s, 2, "3 +meanwhile@5=0, 4 +a@1=5, 5 +again@3=0")
}

// So many ends are kept and no more, the newest; a RoomID has one.
func TestRecentEndsAreBounded(t *testing.T) {
	s := open(t, newPath(t))
	add := func(from, to int, at time.Time) {
		t.Helper()
		for part := from; part < to; part += chunk {
			err := s.db.Update(func(tx *bbolt.Tx) error {
				r := newRecentEnds(tx)
				for n := part; n < min(part+chunk, to); n++ {
					if err := r.add(fmt.Sprintf("room%06d", n), diff.RecentEnd{CreateTime: int64(n + 1), Told: at, Sweep: 1}); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	const more = chunk + 500
	add(0, diff.MaxRecentEnds+more, second(0))
	checked(t, s)
	count := func() (ends int) {
		t.Helper()
		if err := s.db.View(func(tx *bbolt.Tx) error { ends = tx.Bucket(endsBucket).Inspect().KeyN; return nil }); err != nil {
			t.Fatal(err)
		}
		return ends
	}
	if got := count(); got != diff.MaxRecentEnds {
		t.Errorf("%d ends, want %d", got, diff.MaxRecentEnds)
	}
	for i, want := range map[int]bool{0: false, more - 1: false, more: true, diff.MaxRecentEnds + more - 1: true} {
		err := s.db.View(func(tx *bbolt.Tx) error {
			e, err := newRecentEnds(tx).find(fmt.Sprintf("room%06d", i))
			if want != (e.CreateTime == int64(i+1)) || !want && !e.Told.IsZero() {
				t.Errorf("end %d: %+v, want it: %t", i, e, want)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	s = reopen(t, s)
	add(diff.MaxRecentEnds, diff.MaxRecentEnds+more, second(1))
	if got, want := count(), diff.MaxRecentEnds-more; got != want {
		t.Errorf("%d ends after other ends of the same rooms, want %d: the last ones told", got, want)
	}
	add(0, 100, second(0).Add(diff.MaxRecentEndAge+time.Nanosecond))
	if got, want := count(), diff.MaxRecentEnds-more+100-400; got != want {
		t.Errorf("%d ends a day later, want %d: each new one takes four old ones away", got, want)
	}
	checked(t, s)
}

// A stream can have more ends than are kept, and old ones: a rebuild takes the
// newest of the last day.
func TestRebuildOfManyEnds(t *testing.T) {
	var f foldedEnds
	take := func(n int, at time.Time) {
		for range n {
			f = f.take(diff.Event{Type: diff.RoomEnded, Room: diff.Room{RoomID: fmt.Sprint(len(f)), CreateTime: int64(len(f))}, Time: at}, 1)
		}
	}
	take(2*diff.MaxRecentEnds, second(0))
	take(3, second(24*3600))
	take(4, second(24*3600+1))
	if len(f) != diff.MaxRecentEnds+7 {
		t.Fatalf("%d ends in memory", len(f))
	}
	s := open(t, newPath(t))
	if err := s.foldEnds(f); err != nil {
		t.Fatal(err)
	}
	checked(t, s)
	err := s.db.View(func(tx *bbolt.Tx) error {
		if n := tx.Bucket(endsBucket).Inspect().KeyN; n != 7 {
			t.Errorf("%d ends, want 7", n)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A row of an ended life, which changes nothing, writes nothing.
func TestOldCopyWritesNothing(t *testing.T) {
	s := open(t, newPath(t))
	sweep(t, s, 0, "a@2=5 b@1=0")
	sweep(t, s, 10, "b@1=0")
	sweep(t, s, 20, "b@1=0")
	before := hash(t, s.path)
	commit(t, s, page(t, 31, strings.Repeat("a@1=5 ", 20)))
	if hash(t, s.path) != before {
		t.Error("the file has changed")
	}
}
