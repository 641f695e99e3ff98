package state

import (
	"errors"
	"fmt"

	"go.etcd.io/bbolt"
)

// Check walks the whole file and returns every invariant that does not hold,
// joined, or nil. It reads in one transaction and may run beside everything else.
func (s *Store) Check() error {
	return s.db.View(check)
}

func check(tx *bbolt.Tx) error {
	for _, name := range [][]byte{metaBucket, roomsBucket, missingBucket, outboxBucket} {
		if tx.Bucket(name) == nil {
			return fmt.Errorf("no bucket %q", name)
		}
	}
	c, err := getCounters(tx)
	if err != nil {
		return err
	}
	return errors.Join(checkRooms(tx, c), checkMarks(tx, c), checkOutbox(tx, c), checkEnds(tx))
}

func checkRooms(tx *bbolt.Tx, c counters) error {
	var errs []error
	var n, hidden uint64
	_ = tx.Bucket(roomsBucket).ForEach(func(k, v []byte) error {
		n++
		known, err := decodeRoom(roomID(k), v)
		if err != nil {
			errs = append(errs, err)
		}
		if known.Room.Hidden {
			hidden++
		}
		return nil
	})
	if hidden != c.Hidden {
		errs = append(errs, fmt.Errorf("I4: %d hidden rooms, counted %d", hidden, c.Hidden))
	}
	if n != c.Rooms {
		errs = append(errs, fmt.Errorf("I4: %d rooms, counted %d", n, c.Rooms))
	}
	errs = append(errs, newRoomIndex().load(tx))
	return errors.Join(errs...)
}

func checkMarks(tx *bbolt.Tx, c counters) error {
	var errs []error
	var n uint64
	rooms := tx.Bucket(roomsBucket)
	_ = tx.Bucket(missingBucket).ForEach(func(k, v []byte) error {
		n++
		id := roomID(k)
		m, err := decodeMark(id, v)
		switch {
		case err != nil:
			errs = append(errs, err)
		case m.First == 0 || m.First > c.Complete+1: // one more: the end of a sweep can break off before it counts
			errs = append(errs, fmt.Errorf("I3: the mark of room %q names sweep %d of %d", id, m.First, c.Complete))
		case rooms.Get(k) == nil:
			errs = append(errs, fmt.Errorf("I3: a mark, but no room %q", id))
		}
		return nil
	})
	if n != c.Missing {
		errs = append(errs, fmt.Errorf("I4: %d marks, counted %d", n, c.Missing))
	}
	return errors.Join(errs...)
}

func checkOutbox(tx *bbolt.Tx, c counters) error {
	var errs []error
	var last uint64
	_ = tx.Bucket(outboxBucket).ForEach(func(k, v []byte) error {
		seq, err := seqOf(k)
		if err == nil {
			_, err = decodeEvent("", seq, v)
		}
		if err != nil {
			errs = append(errs, err)
		}
		if last != 0 && seq != last+1 {
			errs = append(errs, fmt.Errorf("I2: event %d follows %d in the outbox", seq, last))
		}
		last = seq
		return nil
	})
	if v := tx.Bucket(metaBucket).Get(lastKey); v != nil {
		_, err := seqOf(v[:min(8, len(v))])
		if err == nil {
			_, err = decodeEvent("", 0, v[8:])
		}
		errs = append(errs, err)
	}
	if last != 0 && last != c.Seq {
		errs = append(errs, fmt.Errorf("I2: the outbox ends with %d, the last number given is %d", last, c.Seq))
	}
	return errors.Join(errs...)
}
