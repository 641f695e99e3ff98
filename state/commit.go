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
	if !w.c.BaselineDone && w.c.WatchedSince == 0 && !p.Asked.IsZero() {
		w.c.WatchedSince = nano(p.Asked)
		w.changed, w.looked = true, true // a room that begins after this look is news, also after a restart
	}
	l := diff.Look{
		At:           w.clock(p.At),
		Wall:         p.At,
		Sweep:        s.sweep,
		Begin:        p.Begin,
		Baseline:     !w.c.BaselineDone,
		LastComplete: fromNano(w.c.Begin),
		WatchedSince: fromNano(w.c.WatchedSince),
		Reads:        s.reads.answering(p.At),
	}
	w.trace = p.Trace
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
		if sight.Ask {
			s.reads.ask(r.RoomID, diff.ShownAgain)
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

// A writer is one transaction on the way: it keeps the rooms, the marks, the
// outbox and the counters in step (invariants I1 to I4).
type writer struct {
	rooms           roomTable
	missing, outbox *bbolt.Bucket
	c               *counters
	encode          *encoder
	ends            recentEnds
	epoch           string
	trace           string // of the page that is being compared
	changed         bool
	looked          bool // for the first time
	written         int  // rooms that were seen and changed
	events          []diff.Event
}

func (s *Store) newWriter(tx *bbolt.Tx, c *counters) writer {
	w := writer{
		rooms: newRoomTable(tx, s.index), missing: tx.Bucket(missingBucket), outbox: tx.Bucket(outboxBucket),
		c: c, encode: s.encode, ends: newRecentEnds(tx), epoch: string(tx.Bucket(metaBucket).Get(epochKey)), events: s.events,
	}
	// Rows are only ever appended, so full pages are never split again.
	w.outbox.FillPercent = 0.95
	return w
}

// clock returns the time of what is seen at t, and goes there. The wall clock
// can be set back; the times of an epoch never run backwards.
func (w *writer) clock(t time.Time) time.Time {
	w.c.Time = max(w.c.Time, nano(t))
	return fromNano(w.c.Time)
}

// room returns what is known of the RoomID, with its mark; nil if it has no record.
func (w *writer) room(id string, key, record []byte) (*diff.Known, error) {
	if record == nil {
		return nil, nil
	}
	k, err := decodeRoom(id, record)
	if err != nil {
		return nil, err
	}
	if w.c.Missing > 0 {
		if v := w.missing.Get(key); v != nil {
			if k.Missing, err = decodeMark(id, v); err != nil {
				return nil, err
			}
		}
	}
	return &k, nil
}

// take writes what the sight of a room means; key is nil if it was not known.
func (w *writer) take(key []byte, known *diff.Known, s diff.Sight) error {
	if !s.Changed {
		if known != nil {
			w.rooms.settle(key, s.Known)
		}
		return nil
	}
	w.changed = true
	w.written++
	w.c.Misses += float64(s.Missed)
	v, err := w.encode.room(s.Known)
	if err != nil {
		return err
	}
	if known == nil {
		w.c.Rooms++
		if err := w.rooms.insert(s.Known, v); err != nil {
			return err
		}
		return w.append(s.Events)
	}
	if known.Missing.First > 0 && s.Known.Missing.First == 0 {
		if err := w.missing.Delete(key); err != nil {
			return fmt.Errorf("unmark room %q: %w", roomID(key), err)
		}
		w.c.Missing--
	}
	if err := w.rooms.replace(key, s.Known, v); err != nil {
		return err
	}
	return w.append(s.Events)
}

// end forgets a room, remembers its end and appends the events that say so.
func (w *writer) end(key []byte, marked bool, end diff.RecentEnd, events []diff.Event) error {
	w.changed = true
	if err := w.rooms.remove(key); err != nil {
		return err
	}
	if err := w.ends.add(roomID(key), end); err != nil {
		return err
	}
	w.c.Rooms--
	if marked {
		if err := w.missing.Delete(key); err != nil {
			return fmt.Errorf("delete mark of room %q: %w", roomID(key), err)
		}
		w.c.Missing--
	}
	return w.append(events)
}

// mark writes that complete sweeps miss the room k.
func (w *writer) mark(key []byte, k diff.Known) error {
	w.changed = true
	w.rooms.settle(key, k)
	v, err := encodeMark(k.Missing)
	if err != nil {
		return fmt.Errorf("encode mark of room %q: %w", roomID(key), err)
	}
	if err := w.missing.Put(key, v); err != nil {
		return fmt.Errorf("mark room %q: %w", roomID(key), err)
	}
	w.c.Missing++
	return nil
}

// append gives the events their sequence numbers and puts them into the outbox.
func (w *writer) append(events []diff.Event) error {
	for _, e := range events {
		w.c.Seq++
		e.Trace = w.trace
		v, err := w.encode.encodeEvent(e)
		if err != nil {
			return fmt.Errorf("encode event %d: %w", w.c.Seq, err)
		}
		if err := w.outbox.Put(seqKey(w.c.Seq), v); err != nil {
			return fmt.Errorf("put event %d: %w", w.c.Seq, err)
		}
		e.ID, e.Seq = eventID(w.epoch, w.c.Seq), w.c.Seq
		w.events = append(w.events, e)
	}
	return nil
}

func seqOf(key []byte) (uint64, error) {
	if len(key) != 8 {
		return 0, fmt.Errorf("outbox key %x is not a sequence number", key)
	}
	return binary.BigEndian.Uint64(key), nil
}
