package state

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"go.etcd.io/bbolt"
	bberrors "go.etcd.io/bbolt/errors"
)

// Every commit fails both ways: before anything of it is in the file, and after
// all of it is. Each number is given to one event, whatever happened, and what
// is not known yet is found again.
func TestCommitFails(t *testing.T) {
	disk := errors.New("disk")
	tests := []struct {
		name   string
		stored bool
		times  int
	}{
		{"lost", false, 1},
		{"stored", true, 1},
		{"lost for long", false, 20},
		{"stored for long", true, 20},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := open(t, newPath(t))
			sweep(t, s, 0, "a@1=0 b@1=0")
			given := map[uint64]string{}
			note := func() {
				t.Helper()
				checked(t, s)
				_, stored, assigned := s.Position()
				for _, e := range strings.Split(waiting(t, s, stored), ", ") {
					var seq uint64
					if _, err := fmt.Sscan(e, &seq); err != nil {
						continue
					}
					if old, ok := given[seq]; ok && old != e || seq > assigned {
						t.Fatalf("number %d of %d is given to %q and to %q", seq, assigned, old, e)
					}
					given[seq] = e
				}
				if uint64(len(given)) != assigned {
					t.Fatalf("%d events seen, %d numbers given", len(given), assigned)
				}
			}
			note()
			select {
			case <-s.Committed():
			default:
			}
			s.commit = func(tx *bbolt.Tx) error {
				if tt.stored {
					return errors.Join(disk, tx.Commit())
				}
				return disk
			}
			for i := range tt.times {
				if err := s.Commit(page(t, float64(i+1), fmt.Sprintf("a@1=%d c@%d=0", i+1, i+1))); !errors.Is(err, disk) {
					t.Fatalf("Commit = %v, want the disk's error", err)
				}
				note()
				if tt.stored && i%2 == 0 {
					_, _, assigned := s.Position()
					if err := s.Stored(assigned); err != nil {
						t.Fatal(err)
					}
				}
			}
			if tt.stored {
				select {
				case <-s.Committed():
				default:
					t.Error("events were committed, by a commit that said it failed, and nobody was told")
				}
			}
			s.commit = (*bbolt.Tx).Commit
			commit(t, s, page(t, 50, fmt.Sprintf("a@1=%d c@%d=0", tt.times, tt.times)))
			note()
			s = kill(t, s)
			wantRooms := uint64(3)
			if got := s.Status().Rooms; got != wantRooms {
				t.Errorf("%d rooms, want %d", got, wantRooms)
			}
			commit(t, s, page(t, 60, "a@1=99"))
			note()
			ends := 0
			for _, e := range given {
				if strings.Contains(e, "-c@") {
					ends++
				}
			}
			if want := map[bool]int{false: 0, true: tt.times - 1}[tt.stored]; ends != want {
				t.Errorf("%d lives of c ended, want %d", ends, want)
			}
		})
	}
}

// Memory does not pass over events of which only the file knows.
func TestEventsAfterStoredError(t *testing.T) {
	s := open(t, newPath(t))
	commit(t, s, page(t, 1, "a@1=0"))
	disk := errors.New("disk")
	s.commit = func(tx *bbolt.Tx) error { return errors.Join(disk, tx.Commit()) }
	if err := s.Commit(page(t, 2, "b@1=0")); !errors.Is(err, disk) {
		t.Fatalf("Commit = %v, want the disk's error", err)
	}
	s.commit = (*bbolt.Tx).Commit
	commit(t, s, page(t, 3, "c@1=0"))
	wantWaiting(t, s, 0, "1 *a@1=0, 2 *b@1=0, 3 *c@1=0")
}

// bbolt's own refusal to grow is an error of one commit; with room it goes on.
func TestDiskFull(t *testing.T) {
	s := open(t, newPath(t))
	sweep(t, s, 0, "a@1=0")
	s.db.MaxSize = int(s.size())
	var err error
	n := 0
	for ; err == nil && n < 10000; n += 100 {
		err = s.Commit(manyRooms(t, float64(n), n))
	}
	if !errors.Is(err, bberrors.ErrMaxSizeReached) {
		t.Fatalf("Commit of %d rooms = %v, want %v", n, err, bberrors.ErrMaxSizeReached)
	}
	checked(t, s)
	assigned := s.counters().Seq
	if got := s.Status().Rooms; got != assigned || got >= uint64(n) {
		t.Errorf("%d rooms, %d events: want as many, and less than %d", got, assigned, n)
	}
	if _, err := s.Events(0, 10); err != nil {
		t.Errorf("Events while the disk is full = %v", err)
	}
	s.db.MaxSize = 0
	commit(t, s, manyRooms(t, 1e4, n))
	if got := s.counters().Seq; got != uint64(n)+1 {
		t.Errorf("%d events after the disk has room again, want %d", got, n+1)
	}
}

// Close tells what it could not write, and closes the file all the same.
func TestCloseFails(t *testing.T) {
	disk := errors.New("disk")
	s := open(t, newPath(t))
	commit(t, s, page(t, 1, "a@1=0"))
	if err := s.Stored(1); err != nil {
		t.Fatal(err)
	}
	s.commit = func(*bbolt.Tx) error { return disk }
	if err := s.Close(); !errors.Is(err, disk) {
		t.Errorf("Close = %v, want the disk's error", err)
	}
	wantPosition(t, open(t, s.path), "0 of 1")
}
