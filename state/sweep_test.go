package state

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"roomwatch/diff"
)

func TestEndSweep(t *testing.T) {
	s := open(t, newPath(t))
	if sweep(t, s, 0, "a@1=5 b@2=0") {
		t.Error("the first sweep asks for the next at once")
	}
	if !sweep(t, s, 10, "a@1=5") {
		t.Error("a room is missing, and the next sweep waits")
	}
	wantWaiting(t, s, 2, "")
	if sweep(t, s, 20, "a@1=5") {
		t.Error("nothing is missing any more, and the next sweep does not wait")
	}
	wantWaiting(t, s, 2, "3 -b@2")
	if st := s.Status(); st.Rooms != 1 || st.Missing != 0 || !st.LastComplete.Equal(second(22)) {
		t.Errorf("status %+v, want 1 room, the last sweep ended at second 22", st)
	}
}

// A sweep that failed changes nothing but the number of the next.
func TestEndSweepFailed(t *testing.T) {
	s := open(t, newPath(t))
	sweep(t, s, 0, "a@1=5 b@2=0")
	sweep(t, s, 10, "a@1=5")
	before := hash(t, s.path)
	for range 5 {
		again, err := s.EndSweep(diff.Sweep{Begin: second(20), End: second(30)})
		if again || err != nil {
			t.Errorf("EndSweep = %t, %v", again, err)
		}
	}
	if hash(t, s.path) != before {
		t.Error("sweeps that are not complete wrote something")
	}
	commit(t, s, page(t, 40, "a@1=6"))
	events, err := s.Events(2, 1)
	if err != nil || len(events) != 1 || events[0].Sweep != 8 {
		t.Errorf("events %+v, %v, want one of sweep 8", events, err)
	}
}

// A sweep has one number, whatever is restarted.
func TestSweepNumbers(t *testing.T) {
	s := open(t, newPath(t))
	sweep(t, s, 0, "a@1=1")
	sweep(t, s, 10, "a@1=2")
	commit(t, s, page(t, 21, "a@1=3"))
	s = kill(t, s)
	sweep(t, s, 30, "a@1=4")
	s = reopen(t, s)
	commit(t, s, page(t, 41, "a@1=5"))
	events, err := s.Events(0, 10)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range events {
		got = append(got, fmt.Sprint(e.Sweep))
	}
	if got, want := strings.Join(got, " "), "1 2 3 4 5"; got != want {
		t.Errorf("sweeps of the events: %s, want %s", got, want)
	}
}

// A room of which the sweep has seen another life is not seen.
func TestOtherLifeIsNoSight(t *testing.T) {
	s := open(t, newPath(t))
	sweep(t, s, 0, "a@9=5 b@1=0")
	sweep(t, s, 10, "a@1=7 b@1=0") // an old copy of the list
	if n := s.Status().Missing; n != 1 {
		t.Errorf("%d rooms missing, want a@9", n)
	}
	sweep(t, s, 20, "a@1=7 b@1=0")
	wantWaiting(t, s, 2, "3 -a@9")
}

// A marked room that is created again leaves no mark behind.
func TestMarkedAndCreatedAgain(t *testing.T) {
	s := open(t, newPath(t))
	sweep(t, s, 0, "a@1=5 b@1=0")
	sweep(t, s, 10, "b@1=0")
	commit(t, s, page(t, 21, "a@9=0"))
	if n := s.Status().Missing; n != 0 {
		t.Errorf("%d rooms missing, want none", n)
	}
	checked(t, s)
	if _, err := s.EndSweep(ended(20, page(t, 21, "a@9=0 b@1=0"))); err != nil {
		t.Fatal(err)
	}
	wantWaiting(t, s, 2, "3 -a@1, 4 +a@9=0")
}

// manyRooms is a page of n rooms, "r0000@1=0" and on.
func manyRooms(t *testing.T, at float64, n int) diff.Page {
	t.Helper()
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "r%05d@1=0 ", i)
	}
	return page(t, at, b.String())
}

func noGuard() diff.Policy {
	p := diff.DefaultPolicy()
	p.MassEndPercent = 100
	return p
}

// More absences than one transaction takes are judged all the same.
func TestManyAbsences(t *testing.T) {
	const n = 2*chunk + 1
	s := open(t, newPath(t), noGuard())
	all := manyRooms(t, 1, n)
	commit(t, s, all)
	if _, err := s.EndSweep(ended(0, all)); err != nil {
		t.Fatal(err)
	}
	rest := manyRooms(t, 1, 1)
	for i := range 3 {
		if _, err := s.EndSweep(ended(float64(10*i+10), rest)); err != nil {
			t.Fatal(err)
		}
		if st := s.Status(); i < 2 && (st.Missing != n-1 || st.Rooms != n) {
			t.Errorf("%d of %d missing before the third sweep, want %d of %d", st.Missing, st.Rooms, n-1, n)
		}
		checked(t, s)
	}
	if st := s.Status(); st.Missing != 0 || st.Rooms != 1 {
		t.Errorf("%d of %d missing after three sweeps, want 0 of 1", st.Missing, st.Rooms)
	}
	wantPosition(t, s, fmt.Sprintf("0 of %d", 2*n-1))
	events, err := s.Events(n, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range events {
		if e.Type != diff.RoomEnded || e.Seq != uint64(n+1+i) || !e.Since.Equal(second(1)) {
			t.Fatalf("event %+v, want an end with number %d, since second 1", e, n+1+i)
		}
	}
}

// The end of a sweep that breaks off between its parts has judged some rooms,
// each rightly, and was not counted: no room ends a sweep too early.
func TestEndSweepBreaksOff(t *testing.T) {
	const n = chunk + 10
	disk := errors.New("disk full")
	for _, stored := range []bool{false, true} {
		for failing := range 2 { // which of the two parts
			t.Run(fmt.Sprintf("part %d, stored %t", failing+1, stored), func(t *testing.T) {
				s := open(t, newPath(t), noGuard())
				all := manyRooms(t, 1, n)
				commit(t, s, all)
				if _, err := s.EndSweep(ended(0, all)); err != nil {
					t.Fatal(err)
				}
				none := page(t, 1, "")
				part := 0
				s.commit = func(tx *bbolt.Tx) error {
					if part++; part-1 != failing {
						return tx.Commit()
					}
					if stored {
						return errors.Join(disk, tx.Commit())
					}
					return disk
				}
				if _, err := s.EndSweep(ended(10, none)); !errors.Is(err, disk) {
					t.Fatalf("EndSweep = %v, want the disk's error", err)
				}
				checked(t, s)
				s.commit = (*bbolt.Tx).Commit
				counted := uint64(1)
				if failing == 1 && stored {
					counted = 2 // all of the sweep is in the file
				}
				if got := s.counters().Complete; got != counted {
					t.Errorf("%d complete sweeps, want %d", got, counted)
				}
				s = kill(t, s)
				if s.counters().Seq != n {
					t.Fatalf("%d events after one sweep that missed all rooms, want %d", s.counters().Seq, n)
				}
				for ; counted < 2; counted++ {
					if _, err := s.EndSweep(ended(20, none)); err != nil {
						t.Fatal(err)
					}
					if s.counters().Seq != n {
						t.Errorf("rooms ended after one counted sweep")
					}
					checked(t, s)
				}
				// A sight of a room that the uncounted sweep marked proves no more misses than were counted.
				commit(t, s, page(t, 29, "r00000@1=0"))
				if _, err := s.EndSweep(ended(30, page(t, 29, "r00000@1=0"))); err != nil {
					t.Fatal(err)
				}
				if m := s.counters().Misses; m > 1 {
					t.Errorf("%v misses counted for one room that one sweep missed", m)
				}
				if st := s.Status(); st.Rooms != n && st.Rooms != 1 {
					t.Errorf("%d rooms, want all or one", st.Rooms)
				}
			})
		}
	}
}

// The mass-end guard survives a restart.
func TestMassEndOverRestarts(t *testing.T) {
	s := open(t, newPath(t))
	sweep(t, s, 0, strings.Join(strings.Fields(roomsOf(manyRooms(t, 0, 20))), " "))
	for i := range 5 {
		if again := sweep(t, s, float64(10*i+10), ""); again {
			t.Error("a doubted sweep asks for the next at once")
		}
		if st := s.Status(); st.Guarded != (i < 4) {
			t.Errorf("after %d sweeps: guarded %t", i+1, st.Guarded)
		}
		if got := s.Status().Doubted; got != i+1 {
			t.Errorf("%d sweeps doubted, want %d", got, i+1)
		}
		if n := s.Status().Rooms; i < 4 && n != 20 || i == 4 && n != 0 {
			t.Errorf("%d rooms after %d empty sweeps", n, i+1)
		}
		s = reopen(t, s)
	}
}

// The guard is told as long as it holds ends back: also when enough sweeps
// agree, while they do not yet span the time that they must.
func TestGuardedUntilTheSpan(t *testing.T) {
	for _, tt := range []struct {
		interval, apart time.Duration
		guarded         int // so many sweeps are
	}{
		{500 * time.Millisecond, 500 * time.Millisecond, 20}, // the 21st begins 10 s after the first
		{time.Second, 2 * time.Second, 5},
		{time.Second, 2500 * time.Millisecond, 4},
		{30 * time.Second, 5 * time.Second, 6},
		{10 * time.Second, 10 * time.Second, 4},
	} {
		t.Run(fmt.Sprintf("%s, each %s", tt.interval, tt.apart), func(t *testing.T) {
			p := diff.DefaultPolicy()
			p.Interval = tt.interval
			s := open(t, newPath(t), p)
			sweep(t, s, 0, roomsOf(manyRooms(t, 0, 20)))
			for i := range tt.guarded + 1 {
				sweep(t, s, 10+float64(i)*tt.apart.Seconds(), "")
				st := s.Status()
				if st.Guarded != (i < tt.guarded) || st.Guarded != (st.Rooms == 20) {
					t.Errorf("after %d empty sweeps: guarded %t, %d rooms", i+1, st.Guarded, st.Rooms)
				}
			}
		})
	}
}

func roomsOf(p diff.Page) string {
	var b strings.Builder
	for _, r := range p.Rooms {
		fmt.Fprintf(&b, "%s@%d=%d ", r.RoomID, r.CreateTime, r.ViewCount)
	}
	return b.String()
}
