package state

import (
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/bbolt"
	"go.opentelemetry.io/otel/trace/noop"

	"roomwatch/diff"
)

// whole commits a complete sweep of one page that begins n seconds after noon.
func whole(t *testing.T, s *Store, n float64, rooms string) {
	t.Helper()
	p := page(t, n+1, rooms)
	see(t, s, p)
	if _, err := s.EndSweep(ended(n, p)); err != nil {
		t.Fatal(err)
	}
}

// heard commits the answer of a read that was sent and answered n seconds after noon.
func heard(t *testing.T, s *Store, n float64, o diff.Outcome, r diff.Room) {
	t.Helper()
	s.reads.with(func(w *diff.Witnesses) { w.Ask(r.RoomID) })
	if err := s.CommitReads(diff.Read{RoomID: r.RoomID, Sent: second(n), At: second(n), Outcome: o, Room: r}); err != nil {
		t.Fatal(err)
	}
}

// A hidden room is read until it ends, whatever a read says of another life: an older
// one means nothing, a newer one ends it.
func TestReadOfOtherLifeOfHiddenRoom(t *testing.T) {
	for _, tt := range []struct {
		name     string
		outcome  diff.Outcome
		life     int64
		proposed string
		events   string
	}{
		{"older, hidden", diff.Hidden, 1, "hidden:b", ""},
		{"older, live", diff.Live, 1, "hidden:b", ""},
		{"newer, hidden", diff.Hidden, 3, "", "3 -b@2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, p := openReading(t)
			whole(t, s, 0, "a@2=0 b@2=0")
			heard(t, s, 2, diff.Hidden, diff.Room{RoomID: "b", CreateTime: 2})
			whole(t, s, 10, "a@2=0")
			if got := p.take(); got != "hidden:b" {
				t.Errorf("proposed %q", got)
			}
			heard(t, s, 12, tt.outcome, diff.Room{RoomID: "b", CreateTime: tt.life})
			heard(t, s, 15, tt.outcome, diff.Room{RoomID: "b", CreateTime: tt.life})
			p.take()
			for i := range 5 {
				whole(t, s, float64(20+10*i), "a@2=0")
			}
			if got := p.take(); got != tt.proposed {
				t.Errorf("proposed %q, want %q", got, tt.proposed)
			}
			wantWaiting(t, s, 2, tt.events)
			checked(t, s)
		})
	}
}

// The write of a hidden room's end fails both ways, and the third read of the room
// comes before anything else is written: if the room is still known it goes on being read.
func TestEndOfHiddenRoomFails(t *testing.T) {
	for _, stored := range []bool{false, true} {
		s, p := openReading(t)
		whole(t, s, 0, "a@1=0 b@1=0")
		answer(t, s, 2, "b~")
		whole(t, s, 10, "a@1=0")
		answer(t, s, 11.1, "b-")
		answer(t, s, 14.1, "b-")
		disk := errors.New("disk")
		s.commit = func(tx *bbolt.Tx) error {
			if stored {
				return errors.Join(disk, tx.Commit())
			}
			return disk
		}
		s.reads.with(func(w *diff.Witnesses) { id, _ := w.Control(second(14.5)); w.Ask(id) })
		err := s.CommitReads(diff.Read{RoomID: "a", Sent: second(14.5), At: second(14.5), Outcome: diff.Live, Room: diff.Room{RoomID: "a", CreateTime: 1}})
		if !errors.Is(err, disk) {
			t.Errorf("error %v", err)
		}
		s.commit = (*bbolt.Tx).Commit
		p.take()
		answer(t, s, 17.2, "b-")
		whole(t, s, 20, "a@1=0")
		want := "hidden:b"
		if stored {
			want = ""
		}
		if got := p.take(); got != want {
			t.Errorf("stored %t: proposed %q, want %q", stored, got, want)
		}
		if !stored {
			control(t, s, 22)
		}
		wantWaiting(t, s, 2, "3 -b@1")
		checked(t, s)
	}
}

// A write that fails and is stored hides a room: it goes on being read.
func TestHidingFailsAndIsStored(t *testing.T) {
	s, p := openReading(t)
	whole(t, s, 0, "a@1=0 b@1=0")
	disk := errors.New("disk")
	s.commit = func(tx *bbolt.Tx) error { return errors.Join(disk, tx.Commit()) }
	r := diff.Room{RoomID: "b", CreateTime: 1}
	s.reads.with(func(w *diff.Witnesses) { w.Ask("b") })
	if err := s.CommitReads(diff.Read{RoomID: "b", Sent: second(3), At: second(3), Outcome: diff.Hidden, Room: r}); !errors.Is(err, disk) {
		t.Errorf("error %v", err)
	}
	s.commit = (*bbolt.Tx).Commit
	whole(t, s, 10, "a@1=0")
	if got := p.take(); got != "hidden:b" || s.Status().Hidden != 1 {
		t.Errorf("proposed %q, %d hidden", got, s.Status().Hidden)
	}
}

// Where the list is empty, or cannot be read, hidden rooms are read all the same, and
// one that a read has just shown is the control for another.
func TestOnlyHiddenRooms(t *testing.T) {
	s, p := openReading(t)
	whole(t, s, 0, "a@1=0 b@1=0")
	answer(t, s, 2, "a~")
	answer(t, s, 2, "b~")
	p.take()
	whole(t, s, 10, "")
	if got := p.take(); got != "hidden:a hidden:b" {
		t.Errorf("the list is empty: proposed %q", got)
	}
	if _, err := s.EndSweep(diff.Sweep{Begin: second(20), End: second(21)}); err != nil {
		t.Fatal(err)
	}
	s.askHidden(second(21)) // as the committer does
	if got := p.take(); got != "hidden:a hidden:b" {
		t.Errorf("the list cannot be read: proposed %q", got)
	}
	answer(t, s, 21, "a-")
	answer(t, s, 21, "b~")
	answer(t, s, 24, "a-")
	var id string
	s.reads.with(func(w *diff.Witnesses) { id, _ = w.Control(second(24.5)) })
	if id != "b" {
		t.Fatalf("control %q", id)
	}
	answer(t, s, 24.5, "b~")
	wantWaiting(t, s, 2, "3 -a@1")
	checked(t, s)
}

// A read that finds a room hidden is not newer than a page that has shown it while the
// read was on its way: nothing is told, and the room is read again.
func TestHiddenWhileAPageShowsIt(t *testing.T) {
	s, p := openReading(t)
	whole(t, s, 0, "a@1=0")
	s.reads.with(func(w *diff.Witnesses) { w.Ask("a") })
	see(t, s, page(t, 5, "a@1=0"))
	read := diff.Read{RoomID: "a", Sent: second(4), At: second(6), Outcome: diff.Hidden, Room: diff.Room{RoomID: "a", CreateTime: 1}}
	if err := s.CommitReads(read); err != nil {
		t.Fatal(err)
	}
	if r, _, err := s.Room("a"); err != nil || r.Room.Hidden {
		t.Errorf("hidden %t, %v", r.Room.Hidden, err)
	}
	if got := p.take(); got != "asked_again:a" {
		t.Errorf("proposed %q", got)
	}
	heard(t, s, 9, diff.Hidden, read.Room)
	if r, _, err := s.Room("a"); err != nil || !r.Room.Hidden {
		t.Errorf("hidden %t, %v", r.Room.Hidden, err)
	}
}

// Each of a thousand hidden rooms is proposed once a minute, also where no page comes, and
// none of a few more often than every five seconds.
func TestHiddenRoomsAreProposedByTime(t *testing.T) {
	for _, rooms := range []int{3, 1000} {
		path := newPath(t)
		synctest.Test(t, func(t *testing.T) {
			proposed := map[string][]time.Time{}
			s, err := Open(Config{Path: path + fmt.Sprint(rooms), SDKAppID: testApp, Policy: diff.DefaultPolicy(), Propose: func(p diff.Proposal) {
				proposed[p.RoomID] = append(proposed[p.RoomID], time.Now())
			}})
			if err != nil {
				t.Fatal(err)
			}
			for i := range rooms {
				s.hidden.add(fmt.Sprint("r", i))
			}
			c := s.NewCommitter(slog.New(slog.DiscardHandler), noop.Tracer{})
			done := make(chan struct{})
			go func() { defer close(done); c.Run() }()
			time.Sleep(61 * time.Second)
			c.Close()
			<-done
			if len(proposed) != rooms {
				t.Errorf("%d of %d hidden rooms are proposed in a minute", len(proposed), rooms)
			}
			for id, at := range proposed {
				for i := range at[1:] {
					if d := at[i+1].Sub(at[i]); d < hiddenEvery {
						t.Errorf("%s is proposed after %s", id, d)
					}
				}
			}
			if n := len(proposed["r0"]); rooms == 3 && n != 12 {
				t.Errorf("one of %d is proposed %d times", rooms, n)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}
