package state

import (
	"errors"
	"fmt"
	"iter"
	"time"

	"go.etcd.io/bbolt"

	"roomwatch/diff"
)

// Rebuild replaces all that is known by the fold of events, which are the last
// ones the stream has of each room, in the stream's order: a room whose newest
// event is its end is not live, and the end is remembered. A new epoch begins,
// which remembers that it follows last, the last event of all ([Store.Follows]):
// the stream may have lost events that others have read, and none of their numbers
// must be given again. The outbox is empty afterwards. A sweep that is going on
// proves no absence.
//
// A room that the events do not tell of and that was live at watchedSince is no
// news: it was not published ([diff.Policy.SilentBaseline]), or its events have
// expired. Such rooms are baseline until a sweep is complete. A watchedSince of
// zero makes the next page the first look.
//
// It is written in several transactions, under the mark "rebuild". After an
// error the state is a new one that believes nothing, with an epoch of its own,
// so that a comparison with the stream asks for a rebuild again. After a crash
// whoever opens the file next makes that new state.
func (s *Store) Rebuild(last diff.Event, watchedSince time.Time, events iter.Seq2[diff.Event, error]) error {
	s.write.Lock()
	defer s.write.Unlock()
	s.disturbed = true
	s.reads.with((*diff.Witnesses).Reset)
	s.complete = time.Time{}
	s.indexed = false
	s.index.clear()
	newest, err := s.foldAll(events)
	if err == nil {
		err = s.finish(last, watchedSince, newest)
	}
	if err != nil {
		return fmt.Errorf("rebuild state at event %s: %w", last.ID, errors.Join(err, s.forget()))
	}
	s.metrics.rebuilds.Inc()
	return nil
}

// forget makes a new state in the place of one that is half rebuilt.
func (s *Store) forget() error {
	var m mirror
	err := s.transact(func(tx *bbolt.Tx) error {
		err := create(tx, string(tx.Bucket(metaBucket).Get(appKey)))
		if err != nil {
			return err
		}
		m, err = readMirror(tx)
		return err
	})
	if err != nil {
		return fmt.Errorf("reset state: %w", err)
	}
	s.start(m)
	return nil
}

// foldAll folds the events into an empty set of rooms and returns the time of the newest.
func (s *Store) foldAll(events iter.Seq2[diff.Event, error]) (newest time.Time, err error) {
	if err := s.transact(wipe); err != nil {
		return newest, err
	}
	part := make([]diff.Event, 0, chunk)
	var ends foldedEnds
	for e, err := range events {
		if err != nil {
			return newest, err
		}
		if e.Time.After(newest) {
			newest = e.Time
		}
		ends = ends.take(e, s.sweep)
		if part = append(part, e); len(part) == chunk {
			if err := s.fold(part); err != nil {
				return newest, err
			}
			part = part[:0]
		}
	}
	if err := s.fold(part); err != nil {
		return newest, err
	}
	return newest, s.foldEnds(ends)
}

// wipe empties the rooms, the marks, the outbox and the ends, and marks the file. The gaps
// lie in the one since the stream was last told that somebody watches.
func wipe(tx *bbolt.Tx) error {
	for _, name := range buckets()[1:] {
		if err := tx.DeleteBucket(name); err != nil {
			return err
		}
		if _, err := tx.CreateBucket(name); err != nil {
			return err
		}
	}
	if err := putGaps(tx, nil); err != nil {
		return err
	}
	return tx.Bucket(metaBucket).Put(rebuildKey, []byte{1})
}

// fold applies events to the rooms, without announcing anything.
func (s *Store) fold(events []diff.Event) error {
	return s.transact(func(tx *bbolt.Tx) error {
		rooms := newRoomTable(tx, s.index)
		for _, e := range events {
			if err := s.foldOne(&rooms, e); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *Store) foldOne(rooms *roomTable, e diff.Event) error {
	key, _ := rooms.find(e.Room.RoomID)
	k, live := diff.Recall(e)
	switch {
	case !live && key == nil:
		return nil
	case !live:
		return rooms.remove(key)
	}
	v, err := s.encode.room(k)
	if err != nil {
		return err
	}
	if key == nil {
		return rooms.insert(k, v)
	}
	return rooms.replace(key, k, v)
}

// finish counts what was folded and takes the mark away. What was measured of
// the service stays true.
func (s *Store) finish(last diff.Event, watchedSince, newest time.Time) error {
	var m mirror
	err := s.transact(func(tx *bbolt.Tx) error {
		old, err := getCounters(tx)
		if err != nil {
			return err
		}
		c := counters{
			Sweep: s.sweep, Time: max(old.Time, nano(newest)), WatchedSince: nano(watchedSince),
			Misses: old.Misses, Looks: old.Looks, GapTo: old.GapTo,
		}
		err = tx.Bucket(roomsBucket).ForEach(func(k, v []byte) error {
			c.Rooms++
			known, err := decodeRoom(roomID(k), v)
			if known.Room.Hidden {
				c.Hidden++
			}
			return err
		})
		if err != nil {
			return err
		}
		if err := putCounters(tx, c); err != nil {
			return err
		}
		if err := beginEpoch(tx, last.ID); err != nil {
			return err
		}
		v, err := s.encode.encodeEvent(last)
		if err != nil {
			return err
		}
		if err := putLast(tx, 0, v); err != nil {
			return err
		}
		if err := tx.Bucket(metaBucket).Delete(rebuildKey); err != nil {
			return err
		}
		m, err = readMirror(tx)
		return err
	})
	if err != nil {
		return err
	}
	s.start(m)
	s.hidden = hiddenRooms{}
	return s.hidden.load(s)
}
