package state

import (
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"roomwatch/diff"
)

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
	evidence        diff.Evidence
	gapTo           time.Time // end of the gap in which what is seen may have changed; zero: there was none
	changed         bool
	looked          bool // for the first time
	written         int  // rooms that were seen and changed
	events          []diff.Event
	replaced        []diff.Proposal // rooms that reads have shown in a newer life, to be read again
	after           []func()        // what follows in memory, once the transaction has committed
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
	w.c.setHistory(w.c.history().Saw(s))
	if known != nil && known.Room.Hidden {
		w.c.Hidden--
	}
	if s.Known.Room.Hidden {
		w.c.Hidden++
	}
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
func (w *writer) end(key []byte, marked, hidden bool, end diff.RecentEnd, events []diff.Event) error {
	w.changed = true
	if hidden {
		w.c.Hidden--
	}
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
		e.Trace, e.Evidence, e.Gap = w.trace, w.evidence, e.ChangedBefore(w.gapTo)
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
