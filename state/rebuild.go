package state

import (
	"errors"
	"fmt"
	"iter"

	"go.etcd.io/bbolt"

	"roomwatch/diff"
)

// Rebuild replaces all that is known by the fold of events, which are the last
// ones the stream has of each room, in the stream's order: a room whose newest
// event is its end is not live. The outbox is empty afterwards, and the next
// event gets the number after seq. A sweep that is going on proves no absence.
//
// It is written in several transactions, under the mark "rebuild". After an
// error the state is a new one that believes nothing, with an epoch of its own,
// so that a comparison with the stream asks for a rebuild again. After a crash
// whoever opens the file next makes that new state.
func (s *Store) Rebuild(epoch string, seq uint64, events iter.Seq2[diff.Event, error]) error {
	s.write.Lock()
	defer s.write.Unlock()
	s.disturbed = true
	err := s.foldAll(events)
	if err == nil {
		err = s.finish(epoch, seq)
	}
	if err != nil {
		return fmt.Errorf("rebuild state at event %s: %w", eventID(epoch, seq), errors.Join(err, s.forget()))
	}
	s.metrics.rebuilds.Inc()
	return nil
}

// forget makes a new state in the place of one that is half rebuilt.
func (s *Store) forget() error {
	var m mirror
	err := s.db.Update(func(tx *bbolt.Tx) error {
		app := string(tx.Bucket(metaBucket).Get(appKey))
		if err := tx.DeleteBucket(metaBucket); err != nil {
			return err
		}
		if err := create(tx, app); err != nil {
			return err
		}
		var err error
		m, err = readMirror(tx)
		return err
	})
	if err != nil {
		return fmt.Errorf("reset state: %w", err)
	}
	s.adopt(m)
	s.setStored(0)
	return nil
}

func (s *Store) foldAll(events iter.Seq2[diff.Event, error]) error {
	if err := s.db.Update(wipe); err != nil {
		return err
	}
	part := make([]diff.Event, 0, chunk)
	for e, err := range events {
		if err != nil {
			return err
		}
		if part = append(part, e); len(part) == chunk {
			if err := s.fold(part); err != nil {
				return err
			}
			part = part[:0]
		}
	}
	return s.fold(part)
}

// wipe empties the rooms, the marks and the outbox, and marks the file.
func wipe(tx *bbolt.Tx) error {
	for _, name := range [][]byte{roomsBucket, missingBucket, outboxBucket} {
		if err := tx.DeleteBucket(name); err != nil {
			return err
		}
		if _, err := tx.CreateBucket(name); err != nil {
			return err
		}
	}
	return tx.Bucket(metaBucket).Put(rebuildKey, []byte{1})
}

// fold applies events to the rooms, without announcing anything.
func (s *Store) fold(events []diff.Event) error {
	return s.db.Update(func(tx *bbolt.Tx) error {
		rooms := tx.Bucket(roomsBucket)
		for _, e := range events {
			id := []byte(e.Room.RoomID)
			k, live := diff.Recall(e)
			if !live {
				if err := rooms.Delete(id); err != nil {
					return err
				}
				continue
			}
			v, err := s.encode.room(k)
			if err != nil {
				return err
			}
			if err := rooms.Put(id, v); err != nil {
				return err
			}
		}
		return nil
	})
}

// finish counts what was folded and takes the mark away.
func (s *Store) finish(epoch string, seq uint64) error {
	var m mirror
	err := s.db.Update(func(tx *bbolt.Tx) error {
		old, err := getCounters(tx)
		if err != nil {
			return err
		}
		c := counters{Seq: seq, Sweep: s.sweep, Time: old.Time, BaselineDone: true}
		err = tx.Bucket(roomsBucket).ForEach(func(k, v []byte) error {
			known, err := decodeRoom(string(k), v)
			c.Rooms++
			c.Time = max(c.Time, nano(known.SeenAt))
			return err
		})
		if err != nil {
			return err
		}
		if err := putCounters(tx, c); err != nil {
			return err
		}
		meta := tx.Bucket(metaBucket)
		if err := meta.Put(epochKey, []byte(epoch)); err != nil {
			return err
		}
		if err := meta.Delete(rebuildKey); err != nil {
			return err
		}
		m, err = readMirror(tx)
		return err
	})
	if err != nil {
		return err
	}
	s.adopt(m)
	s.setStored(seq)
	return nil
}

// setStored says where the outbox of a new set of rooms begins.
func (s *Store) setStored(seq uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stored, s.recent = seq, nil
}
