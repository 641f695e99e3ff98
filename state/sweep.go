package state

import (
	"fmt"
	"slices"
	"time"

	"go.etcd.io/bbolt"

	"roomwatch/diff"
)

// chunk is how many absences one transaction takes: it bounds the memory of a
// sweep that misses a million rooms.
const chunk = 2000

// EndSweep judges the sweep whose pages were committed last, marks the rooms
// that it missed and ends those whose absence is believed. A sweep that is not
// complete changes nothing but its number.
//
// It reports whether the next sweep should begin at once.
//
// Many absences are written in several transactions, and the sweep is counted
// with the last one. A crash between them leaves some rooms marked or ended,
// each rightly, and a sweep that never counted: the others wait for one more.
func (s *Store) EndSweep(sw diff.Sweep) (again bool, err error) {
	s.write.Lock()
	defer s.write.Unlock()
	marked := false
	defer func() { // whatever came of it, the next page belongs to the next sweep
		s.mu.Lock()
		if marked {
			s.judged = s.sweep
		}
		s.sweep++
		s.mu.Unlock()
		s.disturbed = false
		s.lookForFile()
		s.lookForClock()
		s.lows = s.lows[:0]
		s.reads.with(func(w *diff.Witnesses) { w.EndSweep(sw.End, marked) })
	}()
	if !sw.Complete || s.disturbed {
		return false, nil
	}
	unseen, err := s.unseen(sw.Seen)
	if err != nil {
		return false, fmt.Errorf("end sweep %d: %w", s.sweep, err)
	}
	unseen, missed := s.reads.withoutShown(unseen, sw.Begin)
	c := s.counters() // not stale: nothing else writes while the lock is held
	before := c.history()
	before.Misses += float64(missed)
	if !s.complete.IsZero() {
		sw.Apart = sw.Begin.Sub(s.complete)
	}
	// Also where the sweep is not counted in the end: too little time passes then, not too much.
	s.complete = sw.Begin
	v := s.policy.Judge(before, sw, diff.Tally{Known: int(c.Rooms - s.hiddenStay()), Unseen: len(unseen)})
	for first := true; first || len(unseen) > 0; first = false {
		n := min(chunk, len(unseen))
		part := unseen[:n]
		unseen = unseen[n:]
		if err := s.judge(sw, v, before, part, len(unseen) == 0); err != nil {
			return false, fmt.Errorf("end sweep %d: %w", s.sweep, err)
		}
	}
	marked = true
	s.signalGap()
	s.metrics.judged(v)
	return v.Again(int(s.counters().Missing)), nil
}

// unseen returns the RoomIDs of the known rooms that the sweep did not show, in
// their order. Hidden ones are not among them: no sweep can show them.
func (s *Store) unseen(seen *diff.Seen) ([]string, error) {
	var ids []string
	hides := s.hiddenStay() > 0
	err := s.db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket(roomsBucket).ForEach(func(k, v []byte) error {
			at, err := created(v)
			if err != nil {
				return fmt.Errorf("room %q: %w", roomID(k), err)
			}
			id := roomID(k)
			if seen.Has(diff.Key{RoomID: id, CreateTime: at}) {
				return nil
			}
			if hides {
				known, err := decodeRoom(id, v)
				if err != nil || known.Room.Hidden {
					return err
				}
			}
			ids = append(ids, id)
			return nil
		})
	})
	slices.Sort(ids)
	return ids, err
}

// hiddenStay returns how many hidden rooms sweeps say nothing of: all of them, unless
// there are no point reads any more that could tell their end.
func (s *Store) hiddenStay() uint64 {
	if s.reads.propose == nil {
		return 0
	}
	return s.counters().Hidden
}

// judge writes one part of a verdict; the last part counts the sweep.
func (s *Store) judge(sw diff.Sweep, v diff.Verdict, before diff.History, ids []string, last bool) error {
	began := time.Now()
	var w writer
	err := s.update(func(tx *bbolt.Tx, c *counters) (bool, error) {
		w = s.newWriter(tx, c)
		now := sw.End
		w.gapTo = s.gapTo(c, now.Round(0))
		told := sw
		told.End = w.clock(now)
		for _, id := range ids {
			if err := s.judgeRoom(&w, id, told, now, v, before); err != nil {
				return false, err
			}
		}
		if last {
			if err := s.endGap(tx, c, sw); err != nil {
				return false, err
			}
			c.setHistory(v.History)
			c.Ended, c.Shown = s.sweep, uint64(sw.Seen.Len())
			c.BaselineDone = true
			w.changed = true
		}
		return w.changed, nil
	})
	if err != nil {
		return err
	}
	s.done(&w, began)
	return nil
}

// judgeRoom marks or ends a room that a sweep has missed. now is the end of the sweep by
// the clock of reads; that of sw is the time of the events.
func (s *Store) judgeRoom(w *writer, id string, sw diff.Sweep, now time.Time, v diff.Verdict, before diff.History) error {
	key, record := w.rooms.find(id)
	k, err := w.room(id, key, record)
	if err != nil {
		return err
	}
	marked := k.Missing.First > 0
	if !marked {
		k.Missing = v.Mark(*k, before)
	}
	switch {
	case v.Ends(k.Missing) && !s.reads.waits(id, k.Missing, now):
		s.reads.forget(id)
		end := v.RecentEnd(*k, sw.End, s.sweep)
		w.evidence = diff.Evidence{By: diff.BySweeps, Requests: diff.Requested(sw.RequestID), Missed: end.Missed}
		return w.end(key, marked, k.Room.Hidden, end, s.policy.End(*k, sw.End, k.Missing.LastSeen, s.sweep))
	case !marked:
		if err := w.mark(key, *k); err != nil {
			return err
		}
	}
	s.reads.askAbsent(id, diff.MissedBySweep, now)
	return nil
}
