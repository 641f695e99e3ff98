package state

import (
	"encoding/binary"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"roomwatch/diff"
)

// commitRooms is how many rooms a transaction writes before it takes no further page:
// about as many events as the publisher sends at once. More are no faster and need
// more memory.
const commitRooms = 1000

// Commit compares pages with what is known and writes what they changed, rooms
// and events together: each page in one transaction, and many pages in one if
// they change little. Pages that change nothing write nothing. The pages must be
// of one sweep and in their order.
//
// What a crash leaves behind, by the moment it comes:
//
//	before the transaction commits    nothing of its pages and of those behind
//	                                  them. The next sweep finds the same
//	                                  differences again.
//	after it, before the publish      rooms and events. The publisher finds the
//	                                  events in the outbox, with the IDs they
//	                                  have here.
//	after the publish, before Stored  the same; the publisher asks the stream
//	                                  which event it has last and goes on there.
//
// An error leaves some of the pages behind, each whole (see update): the sweep is
// then worth nothing as proof of an absence, and the next one finds whatever is
// not known yet.
func (s *Store) Commit(pages ...diff.Page) error {
	s.write.Lock()
	defer s.write.Unlock()
	for rest := pages; len(rest) > 0; {
		n, err := s.commitPages(rest)
		if err != nil {
			return fmt.Errorf("commit %d of %d pages: %w", len(rest), len(pages), err)
		}
		for _, p := range rest[:n] {
			if err := s.lookForPassed(p); err != nil {
				return err
			}
		}
		rest = rest[n:]
	}
	return nil
}

// commitPages commits the first of the pages, as many as one transaction takes,
// and returns their number.
func (s *Store) commitPages(pages []diff.Page) (n int, err error) {
	began := time.Now()
	var w writer
	err = s.update(func(tx *bbolt.Tx, c *counters) (bool, error) {
		w = s.newWriter(tx, c)
		for n < len(pages) && w.written < commitRooms {
			if err := s.commitPage(&w, pages[n]); err != nil {
				return false, err
			}
			n++
		}
		return w.changed, nil
	})
	if err != nil {
		return 0, err
	}
	s.done(&w, began)
	return n, nil
}

func (s *Store) commitPage(w *writer, p diff.Page) error {
	s.read(p, w.c)
	w.gapTo = s.gapTo(w.c, p.At.Round(0))
	asked := p.Asked
	if asked.IsZero() {
		asked = p.Begin
	}
	if !w.c.BaselineDone && w.c.WatchedSince == 0 && !asked.IsZero() {
		w.c.WatchedSince = nano(asked)
		w.changed, w.looked = true, true // a room that begins after this look is news, also after a restart
	}
	l := diff.Look{
		At:           w.clock(p.At),
		Wall:         p.At.Round(0),
		Sweep:        s.sweep,
		Begin:        p.Begin.Round(0),
		Baseline:     !w.c.BaselineDone,
		LastComplete: fromNano(w.c.Begin),
		WatchedSince: fromNano(w.c.WatchedSince),
		Reads:        s.reads.answering(p.At),
	}
	w.trace, w.evidence = p.Trace, diff.Evidence{By: diff.ByList, Requests: diff.Requested(p.RequestID)}
	for _, r := range p.Rooms {
		if s.index.settled(r, s.sweep) {
			continue
		}
		key, record := w.rooms.find(r.RoomID)
		known, err := w.room(r.RoomID, key, record)
		if err != nil {
			return err
		}
		var end diff.RecentEnd
		if known == nil || known.Room.CreateTime != r.CreateTime {
			if end, err = w.ends.find(r.RoomID); err != nil {
				return err
			}
		}
		sight := s.policy.See(known, end, r, l, w.c.Complete)
		if sight.Lower && s.reads.lower(known.Room, p) {
			alone := l
			alone.Reads = false
			sight = s.policy.See(known, end, r, alone, w.c.Complete)
		}
		if sight.Ask {
			s.reads.doubt(known, r, p.At)
		}
		if err := w.take(key, known, sight); err != nil {
			return err
		}
		if !sight.Stale {
			key, _ = w.rooms.find(r.RoomID)
			s.index.listed(r, binary.BigEndian.Uint64(key), s.sweep)
		}
	}
	return nil
}

// done reports a committed transaction to whom it concerns.
func (s *Store) done(w *writer, began time.Time) {
	if !w.changed {
		return
	}
	s.metrics.commit.Observe(time.Since(began).Seconds())
	if len(w.events) > 0 {
		s.mu.Lock()
		s.tail.add(w.events)
		s.meter.add(w.events, time.Now())
		s.mu.Unlock()
	}
	if len(w.events) > 0 || w.looked {
		s.signal()
	}
	clear(w.events)
	s.events = w.events[:0]
}

// signal tells the publisher that there may be events which it has not seen.
func (s *Store) signal() {
	select {
	case s.committed <- struct{}{}:
	default: // it has not taken the last signal yet and will see these events too
	}
}
