package state

import (
	"errors"
	"io"
	"iter"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"roomwatch/diff"
)

const epoch = "01JD3ZK8V6Q4"

// stream is what a stream gives: the events of a store, and at last err, if any.
func stream(events []diff.Event, err error) iter.Seq2[diff.Event, error] {
	return func(yield func(diff.Event, error) bool) {
		for _, e := range events {
			if !yield(e, nil) {
				return
			}
		}
		if err != nil {
			yield(diff.Event{}, err)
		}
	}
}

// lastEvent is the last event of a stream, as far as its number matters.
func lastEvent(epoch string, seq uint64) diff.Event {
	return diff.Event{ID: eventID(epoch, seq), Seq: seq}
}

// history returns the events of a little world: a was entered, b created again,
// c has ended, d is as it was created.
func history(t *testing.T) []diff.Event {
	t.Helper()
	s := open(t, newPath(t))
	sweep(t, s, 0, "a@1=5 b@1=0 c@1=0 d@1=3")
	sweep(t, s, 10, "a@1=7 b@9=0 d@1=3")
	sweep(t, s, 20, "a@1=7 b@9=0 d@1=3")
	events, err := s.Events(0, 100)
	if err != nil {
		t.Fatal(err)
	}
	return events
}

// believes fails the test unless a sweep that shows rooms tells want.
func believes(t *testing.T, s *Store, n float64, rooms, want string) {
	t.Helper()
	_, _, assigned := s.Position()
	sweep(t, s, n, rooms)
	wantWaiting(t, s, assigned, want)
}

func TestRebuild(t *testing.T) {
	events := history(t)
	s := open(t, newPath(t))
	sweep(t, s, 0, "x@1=1 y@1=1")
	sweep(t, s, 10, "x@1=1") // y is marked
	before, _, _ := s.Position()
	if err := s.Rebuild(lastEvent(epoch, 41), time.Unix(5, 0), stream(events, nil)); err != nil {
		t.Fatal(err)
	}
	checked(t, s)
	began, _, _ := s.Position()
	if began == epoch || began == before || s.Follows() != eventID(epoch, 41) {
		t.Errorf("epoch %q follows %q, want a new one that follows %q", began, s.Follows(), eventID(epoch, 41))
	}
	wantPosition(t, s, "0 of 0")
	wantWaiting(t, s, 0, "")
	if st := s.Status(); st.Rooms != 3 || st.Missing != 0 {
		t.Errorf("%d rooms, %d missing, want 3 and none", st.Rooms, st.Missing)
	}
	s = reopen(t, s)
	if again, _, _ := s.Position(); again != began || s.Follows() != eventID(epoch, 41) {
		t.Errorf("after a restart epoch %q follows %q, want %q as before", again, s.Follows(), began)
	}
	// Nobody is announced twice, nobody is forgotten, and what was live before is no
	// news, however long the first complete sweep takes.
	next := page(t, 40, "a@1=8 b@9=0 d@1=3 x@5=1 y@6=1")
	next.Asked = second(40)
	commit(t, s, next)
	wantWaiting(t, s, 0, "1 a@1:7→8, 2 *x@5=1, 3 +y@6=1")
	believes(t, s, 50, "a@1=8 b@9=0 d@1=3 x@5=1 y@6=1 z@5=1", "4 *z@5=1")
	believes(t, s, 60, "a@1=8 b@9=0 d@1=3 x@5=1 y@6=1 z@5=1 last@5=1", "5 +last@5=1")
	events, err := s.Events(0, 1)
	if err != nil || len(events) != 1 || events[0].Version != 3 || events[0].ID != eventID(began, 1) {
		t.Errorf("the first event after the rebuild is %+v, %v, want version 3 and ID %s", events, err, eventID(began, 1))
	}
}

func TestRebuildFromNothing(t *testing.T) {
	s := open(t, newPath(t))
	sweep(t, s, 0, "x@1=1")
	if err := s.Rebuild(lastEvent(epoch, 7), time.Time{}, stream(nil, nil)); err != nil {
		t.Fatal(err)
	}
	wantPosition(t, s, "0 of 0")
	believes(t, s, 10, "x@1=1", "1 *x@1=1")
}

// A rebuild of more rooms than one transaction takes.
func TestRebuildMany(t *testing.T) {
	s := open(t, newPath(t))
	s.db.NoSync = true
	var events []diff.Event
	for i, r := range manyRooms(t, 0, 2*chunk+1).Rooms {
		events = append(events, diff.Event{Seq: uint64(i + 1), Type: diff.RoomCreated, Room: r, Version: 1, Time: second(1)})
	}
	ended := events[0]
	ended.Type, ended.Version = diff.RoomEnded, 2
	events = slices.Insert(events, 1, ended)
	if err := s.Rebuild(lastEvent(epoch, 9000), time.Time{}, stream(events, nil)); err != nil {
		t.Fatal(err)
	}
	if n := s.Status().Rooms; n != 2*chunk {
		t.Errorf("%d rooms, want %d", n, 2*chunk)
	}
}

// The times of an epoch do not run backwards over a rebuild, even if its newest
// event is the end of a room and the wall clock was set back.
func TestRebuildKeepsTime(t *testing.T) {
	events := []diff.Event{
		{Seq: 1, Type: diff.RoomCreated, Room: diff.Room{RoomID: "a", CreateTime: 1}, Version: 1, Time: second(10)},
		{Seq: 2, Type: diff.RoomEnded, Room: diff.Room{RoomID: "b", CreateTime: 1}, Version: 2, Time: second(99)},
	}
	s := open(t, newPath(t))
	if err := s.Rebuild(lastEvent(epoch, 2), time.Time{}, stream(events, nil)); err != nil {
		t.Fatal(err)
	}
	commit(t, s, page(t, 50, "a@1=1"))
	got, err := s.Events(0, 1)
	if err != nil || len(got) != 1 || !got[0].Time.Equal(second(99)) || !got[0].Since.Equal(second(10)) {
		t.Errorf("events %+v, %v, want one at second 99, since second 10", got, err)
	}
}

// Nor do they if this state has seen later than the stream tells; and no number
// of a sweep is given twice.
func TestRebuildKeepsClockAndSweep(t *testing.T) {
	s := open(t, newPath(t))
	sweep(t, s, 0, "a@1=0")
	sweep(t, s, 100, "a@1=0")
	if err := s.Rebuild(lastEvent(epoch, 4), time.Time{}, stream(history(t), nil)); err != nil {
		t.Fatal(err)
	}
	s = kill(t, s)
	commit(t, s, page(t, 50, "a@1=9"))
	got, err := s.Events(0, 1)
	if err != nil || len(got) != 1 || !got[0].Time.Equal(second(102)) || got[0].Sweep != 4 {
		t.Errorf("events %+v, %v, want one at second 102, of sweep 4", got, err)
	}
}

// What was measured of the service is not forgotten with the rooms.
func TestRebuildKeepsMissRate(t *testing.T) {
	s := open(t, newPath(t))
	sweep(t, s, 0, "a@1=0 b@1=0")
	sweep(t, s, 10, "a@1=0")
	sweep(t, s, 20, "a@1=0 b@1=0")
	before := s.Status().MissRate
	if err := s.Rebuild(lastEvent(epoch, 7), time.Time{}, stream(nil, nil)); err != nil {
		t.Fatal(err)
	}
	if after := s.Status().MissRate; after != before || after < 0.0009 {
		t.Errorf("miss rate %v, want %v as before", after, before)
	}
}

// A sweep in the middle of which the rooms were rebuilt proves nothing.
func TestRebuildInSweep(t *testing.T) {
	events := history(t)
	s := open(t, newPath(t))
	sweep(t, s, 0, "x@1=1")
	commit(t, s, page(t, 11, "x@1=1"))
	if err := s.Rebuild(lastEvent(epoch, 9), time.Time{}, stream(events, nil)); err != nil {
		t.Fatal(err)
	}
	commit(t, s, page(t, 12, "a@1=9"))
	before := hash(t, s.path)
	if _, err := s.EndSweep(ended(10, page(t, 11, "x@1=1"))); err != nil {
		t.Fatal(err)
	}
	if hash(t, s.path) != before {
		t.Error("the sweep wrote something")
	}
	wantWaiting(t, s, 0, "1 a@1:7→9")
	sweep(t, s, 20, "a@1=9")
	wantWaiting(t, s, 1, "")
	sweep(t, s, 30, "a@1=9")
	wantWaiting(t, s, 1, "2 -b@9, 3 -d@1")
}

// After a crash in the middle of a rebuild, whatever was written of it, the
// state believes nothing and has an epoch of its own.
func TestRebuildCrash(t *testing.T) {
	var events []diff.Event
	for i, r := range manyRooms(t, 0, chunk+5).Rooms {
		events = append(events, diff.Event{Seq: uint64(i + 1), Type: diff.RoomCreated, Room: r, Version: 1, Time: second(1)})
	}
	s := open(t, newPath(t))
	sweep(t, s, 0, "x@1=1 y@1=1")
	before, _, _ := s.Position()
	copies := map[int]string{}
	crashing := func(yield func(diff.Event, error) bool) {
		for i, e := range events {
			if i == 0 || i == 1 || i == chunk+3 {
				copies[i] = newPath(t)
				if err := copyFile(s.path, copies[i]); err != nil {
					t.Fatal(err)
				}
			}
			if !yield(e, nil) {
				return
			}
		}
	}
	if err := s.Rebuild(lastEvent(epoch, 9000), time.Time{}, crashing); err != nil {
		t.Fatal(err)
	}
	if len(copies) != 3 {
		t.Fatalf("%d copies, want 3", len(copies))
	}
	for i, path := range copies {
		c := open(t, path)
		got, _, _ := c.Position()
		if got == before || got == epoch || len(got) != epochSize {
			t.Errorf("crash at event %d: epoch %q, want a new one", i, got)
		}
		wantPosition(t, c, "0 of 0")
		if n := c.Status().Rooms; n != 0 {
			t.Errorf("crash at event %d: %d rooms, want none", i, n)
		}
		checked(t, c)
		believes(t, c, 10, "x@1=1", "1 *x@1=1")
		c = reopen(t, c)
		if again, _, _ := c.Position(); again != got {
			t.Errorf("crash at event %d: epoch %q after one more start, want %q", i, again, got)
		}
	}
}

// A rebuild that fails, wherever, leaves a new state, and can be tried again.
func TestRebuildFails(t *testing.T) {
	events := history(t)
	gone, disk := errors.New("stream is away"), errors.New("disk full")
	commits := func(fail func(n int) bool, stored bool) func(*Store) {
		return func(s *Store) {
			n := 0
			s.commit = func(tx *bbolt.Tx) error {
				if n++; !fail(n) {
					return tx.Commit()
				}
				if stored {
					return errors.Join(disk, tx.Commit())
				}
				return disk
			}
		}
	}
	nth := func(k int) func(int) bool { return func(n int) bool { return n == k } }
	tests := []struct {
		name    string
		prepare func(*Store)
		from    error // of the stream
		err     error
	}{
		{"stream", func(*Store) {}, gone, gone},
		{"wipe lost", commits(nth(1), false), nil, disk},
		{"wipe stored", commits(nth(1), true), nil, disk},
		{"fold lost", commits(nth(2), false), nil, disk},
		{"fold stored", commits(nth(2), true), nil, disk},
		{"finish lost", commits(nth(3), false), nil, disk},
		{"finish stored", commits(nth(3), true), nil, disk},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := open(t, newPath(t))
			sweep(t, s, 0, "x@1=1 y@1=1")
			before, _, _ := s.Position()
			tt.prepare(s)
			from := stream(events, nil)
			if tt.name == "stream" {
				from = stream(events, gone)
			}
			if err := s.Rebuild(lastEvent(epoch, 9), time.Time{}, from); !errors.Is(err, tt.err) || !strings.Contains(err.Error(), eventID(epoch, 9)) {
				t.Fatalf("Rebuild = %v, want %v at event %s", err, tt.err, eventID(epoch, 9))
			}
			s.commit = (*bbolt.Tx).Commit
			checked(t, s)
			if got, _, _ := s.Position(); got == before || got == epoch {
				t.Errorf("epoch %q, want a new one", got)
			}
			wantPosition(t, s, "0 of 0")
			wantWaiting(t, s, 0, "")
			if n := s.Status().Rooms; n != 0 {
				t.Errorf("%d rooms, want none", n)
			}
			// The sweep that was going on proves nothing, the next begins the baseline.
			if _, err := s.EndSweep(ended(10, page(t, 11, "a@1=7"))); err != nil {
				t.Fatal(err)
			}
			believes(t, s, 20, "a@1=7", "1 *a@1=7")
			if err := s.Rebuild(lastEvent(epoch, 9), time.Time{}, stream(events, nil)); err != nil {
				t.Fatal(err)
			}
			wantPosition(t, s, "0 of 0")
			if _, err := s.EndSweep(diff.Sweep{}); err != nil {
				t.Fatal(err)
			}
			believes(t, s, 30, "a@1=7 b@9=1 d@1=3", "1 b@9:0→1")
		})
	}
}

// If the disk takes not even the reset, nothing is committed on top of half a
// rebuild, and the next start makes the new state.
func TestRebuildAndResetFail(t *testing.T) {
	disk := errors.New("disk full")
	s := open(t, newPath(t))
	sweep(t, s, 0, "x@1=1 y@1=1")
	n := 0
	s.commit = func(tx *bbolt.Tx) error {
		if n++; n == 1 {
			return tx.Commit() // wiped
		}
		return disk
	}
	if err := s.Rebuild(lastEvent(epoch, 9), time.Time{}, stream(history(t), nil)); !errors.Is(err, disk) {
		t.Fatalf("Rebuild = %v, want the disk's error", err)
	}
	s.commit = (*bbolt.Tx).Commit
	if err := s.Commit(page(t, 11, "x@1=2")); !errors.Is(err, errHalfRebuilt) {
		t.Errorf("Commit = %v, want %v", err, errHalfRebuilt)
	}
	path := newPath(t)
	if err := copyFile(s.path, path); err != nil {
		t.Fatal(err)
	}
	believes(t, open(t, path), 10, "x@1=1", "1 *x@1=1")
	if err := s.Rebuild(lastEvent(epoch, 9), time.Time{}, stream(nil, nil)); err != nil {
		t.Fatal(err)
	}
	wantPosition(t, s, "0 of 0")
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
