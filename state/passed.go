package state

import (
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"roomwatch/diff"
)

// passedEvery is how often the rooms are looked for that the sweep on its way is
// past and has not shown. The look takes some milliseconds at 100,000 rooms.
const passedEvery = 2 * time.Second

// lookForPassed proposes the rooms that the sweep on its way is past by two pages
// and has not shown: by the count with which the list showed them last, they
// should have been there.
func (s *Store) lookForPassed(p diff.Page) error {
	if s.reads.propose == nil {
		return nil
	}
	if len(p.Rooms) == 0 {
		return nil
	}
	s.lows = append(s.lows, p.Rooms[len(p.Rooms)-1].ViewCount)
	if len(s.lows) < 3 || isRecent(s.looked, p.At, passedEvery) {
		return nil
	}
	s.looked = p.At
	slots := s.index.passed(s.lows[len(s.lows)-3], s.sweep)
	ids := make([]string, 0, len(slots))
	err := s.db.View(func(tx *bbolt.Tx) error {
		rooms := tx.Bucket(roomsBucket).Cursor()
		for _, slot := range slots {
			if key, _ := rooms.Seek(roomKey(nil, slot, "")); key != nil {
				ids = append(ids, roomID(key))
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("look for passed rooms: %w", err)
	}
	s.reads.with(func(w *diff.Witnesses) {
		shown := ids[:0]
		for _, id := range ids {
			if ok, _ := w.Shown(id, p.Begin); !ok {
				shown = append(shown, id)
			}
		}
		ids = shown
		w.Passed(ids)
	})
	for _, id := range ids {
		s.reads.askAbsent(id, diff.PassedBySweep, p.At)
	}
	return nil
}

// askMissing proposes the rooms that the file has as missing, when it is opened: what was
// to be read of them has ended with the process before.
func (s *Store) askMissing() error {
	if s.reads.propose == nil {
		return nil
	}
	err := s.db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket(missingBucket).ForEach(func(key, _ []byte) error {
			s.reads.ask(roomID(key), diff.MissedBySweep)
			return nil
		})
	})
	if err != nil {
		return fmt.Errorf("propose missing rooms: %w", err)
	}
	return nil
}

// isRecent reports whether less than d has passed since t. A t of the future comes
// from a clock that was set back.
func isRecent(t, now time.Time, d time.Duration) bool {
	since := now.Sub(t)
	return since >= 0 && since < d
}
