package state

import (
	"fmt"
	"sync"
	"testing"

	"go.etcd.io/bbolt"
)

// rows returns how many rows the outbox has in the file.
func rows(t *testing.T, s *Store) (n int) {
	t.Helper()
	err := s.db.View(func(tx *bbolt.Tx) error {
		n = tx.Bucket(outboxBucket).Stats().KeyN
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestEvents(t *testing.T) {
	s := open(t, newPath(t))
	wantWaiting(t, s, 0, "")
	for i := range 5 {
		commit(t, s, page(t, float64(i), fmt.Sprintf("a@1=%d", i)))
	}
	for range 2 { // from memory, then from the file
		for _, tt := range []struct {
			after uint64
			limit int
			want  int
		}{{0, 100, 5}, {0, 2, 2}, {3, 100, 2}, {4, 1, 1}, {5, 100, 0}, {6, 100, 0}, {0, 0, 0}} {
			events, err := s.Events(tt.after, tt.limit)
			if err != nil || len(events) != tt.want {
				t.Errorf("Events(%d, %d) = %d events, %v, want %d", tt.after, tt.limit, len(events), err, tt.want)
			}
			for i, e := range events {
				if e.Seq != tt.after+uint64(i)+1 {
					t.Errorf("Events(%d, %d): the %dth is %d", tt.after, tt.limit, i+1, e.Seq)
				}
			}
		}
		s = reopen(t, s)
	}
}

// What memory has no room for is in the file.
func TestEventsBeyondMemory(t *testing.T) {
	s := open(t, newPath(t))
	commit(t, s, manyRooms(t, 1, tailRows-1))
	commit(t, s, page(t, 2, "a@1=1 b@1=1 c@1=1"))
	commit(t, s, page(t, 3, "d@1=1 e@1=1 f@1=1"))
	var seq uint64
	for {
		events, err := s.Events(seq, 999)
		if err != nil {
			t.Fatal(err)
		}
		if len(events) == 0 {
			break
		}
		for _, e := range events {
			if seq++; e.Seq != seq {
				t.Fatalf("event %d where %d is wanted", e.Seq, seq)
			}
		}
	}
	if seq != tailRows+5 {
		t.Errorf("%d events, want %d", seq, tailRows+5)
	}
}

// Rows that the stream has leave the outbox with the next transaction, and at
// the latest when the store is closed.
func TestStored(t *testing.T) {
	s := open(t, newPath(t))
	commit(t, s, page(t, 1, "a@1=0 b@1=0 c@1=0"))
	wantPosition(t, s, "0 of 3")
	store := func(seq uint64) {
		t.Helper()
		if err := s.Stored(seq); err != nil {
			t.Fatal(err)
		}
	}
	before := hash(t, s.path)
	store(2)
	store(1) // old news
	wantPosition(t, s, "2 of 3")
	if hash(t, s.path) != before {
		t.Error("Stored wrote to the file")
	}
	if n := s.Status().Waiting; n != 1 {
		t.Errorf("%d events waiting, want 1", n)
	}
	commit(t, s, page(t, 2, "a@1=0")) // changes nothing, so trims nothing
	if n := rows(t, s); n != 3 {
		t.Errorf("%d rows, want 3", n)
	}
	commit(t, s, page(t, 3, "a@1=1"))
	if n := rows(t, s); n != 2 {
		t.Errorf("%d rows, want 2", n)
	}
	wantPosition(t, s, "2 of 4")
	wantWaiting(t, s, 2, "3 *c@1=0, 4 a@1:0→1")

	s = kill(t, s)
	wantPosition(t, s, "2 of 4")
	store(4)
	s = kill(t, s) // what was only in memory is lost, which costs nothing
	wantPosition(t, s, "2 of 4")
	store(3)
	s = reopen(t, s)
	wantPosition(t, s, "3 of 4")
	store(4)
	s = reopen(t, s)
	wantPosition(t, s, "4 of 4")
	if n := rows(t, s); n != 0 {
		t.Errorf("%d rows, want none", n)
	}
	commit(t, s, page(t, 9, "a@1=2"))
	wantWaiting(t, s, 4, "5 a@1:1→2")

	store(999) // more than was ever given
	wantPosition(t, s, "5 of 5")
}

// A long row of stored events is deleted without waiting for a change.
func TestStoredTrims(t *testing.T) {
	s := open(t, newPath(t))
	s.db.NoSync = true
	commit(t, s, manyRooms(t, 1, trimLag+2))
	if err := s.Stored(trimLag); err != nil {
		t.Fatal(err)
	}
	if n := rows(t, s); n != trimLag+2 {
		t.Errorf("%d rows, want all", n)
	}
	if err := s.Stored(trimLag + 1); err != nil {
		t.Fatal(err)
	}
	if n := rows(t, s); n > trimLag/2+1 || n < 1 {
		t.Errorf("%d rows, want at most half of %d", n, trimLag)
	}
	wantPosition(t, s, fmt.Sprintf("%d of %d", trimLag+1, trimLag+2))
}

// Between a commit and the note of it in memory the publisher may look: it must
// not get events that it could not report as stored.
func TestEventsBeforeTheMirror(t *testing.T) {
	s := open(t, newPath(t))
	commit(t, s, page(t, 0, "a@1=1"))
	s.commit = func(tx *bbolt.Tx) error {
		if err := tx.Commit(); err != nil {
			return err
		}
		events, err := s.Events(1, 10)
		if err != nil || len(events) > 0 {
			t.Errorf("%d events (%v), want none before the position knows them", len(events), err)
		}
		return nil
	}
	commit(t, s, page(t, 1, "b@1=1"))
	events, err := s.Events(1, 10)
	if err != nil || len(events) != 1 {
		t.Errorf("%d events (%v), want 1", len(events), err)
	}
}

// Pages, the publisher and whoever asks for status and metrics do not wait for
// each other for ever, and the publisher gets every event once, in order.
func TestTogether(t *testing.T) {
	const pages = 300
	s := open(t, newPath(t))
	s.db.NoSync = true
	stop := make(chan struct{})
	var readers, publisher sync.WaitGroup
	for _, read := range []func(){
		func() { s.Status() },
		func() { s.size() },
		func() {
			if err := s.Check(); err != nil {
				t.Error(err)
			}
		},
	} {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					read()
				}
			}
		})
	}
	publisher.Go(func() {
		for next := uint64(1); next <= 2*pages; {
			<-s.Committed()
			for {
				events, err := s.Events(next-1, 7)
				if err != nil {
					t.Error(err)
				}
				if len(events) == 0 {
					break
				}
				for _, e := range events {
					if e.Seq != next {
						t.Errorf("event %d where %d is wanted", e.Seq, next)
					}
					next = e.Seq + 1
				}
				if err := s.Stored(next - 1); err != nil {
					t.Error(err)
				}
			}
		}
	})
	for i := range pages {
		rooms := fmt.Sprintf("a@1=%d b@1=%d", i, i)
		commit(t, s, page(t, float64(i), rooms))
		if i%10 == 9 {
			if _, err := s.EndSweep(ended(float64(i), page(t, 0, rooms))); err != nil {
				t.Error(err)
			}
		}
	}
	publisher.Wait()
	close(stop)
	readers.Wait()
	wantPosition(t, s, fmt.Sprintf("%d of %d", 2*pages, 2*pages))
}
