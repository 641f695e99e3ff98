package state

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.etcd.io/bbolt"

	"roomwatch/diff"
)

// Event returns an event of the outbox, or the last one that has left it; 0 stands
// for the one that the epoch follows. It has no ID and no Seq. known is false for
// any other, and in the file of a build that did not keep the last one.
//
// The last one is kept because a number alone does not prove that the stream has
// the event which this state has stored: another copy of the state can have given
// the number to another event.
func (s *Store) Event(seq uint64) (e diff.Event, known bool, err error) {
	err = s.db.View(func(tx *bbolt.Tx) (err error) {
		v := tx.Bucket(outboxBucket).Get(seqKey(seq))
		if v == nil {
			v = getLast(tx, seq)
		}
		if v != nil {
			known = true
			e, err = decodeEvent("", seq, v)
		}
		return err
	})
	if err != nil {
		return e, false, fmt.Errorf("read event %d: %w", seq, err)
	}
	e.ID, e.Seq = "", 0
	return e, known, nil
}

// putLast keeps the record of the event that leaves the outbox last.
func putLast(tx *bbolt.Tx, seq uint64, record []byte) error {
	if err := tx.Bucket(metaBucket).Put(lastKey, slices.Concat(seqKey(seq), record)); err != nil {
		return fmt.Errorf("keep event %d: %w", seq, err)
	}
	return nil
}

// getLast returns that record if seq is its number, or nil.
func getLast(tx *bbolt.Tx, seq uint64) []byte {
	record, ok := bytes.CutPrefix(tx.Bucket(metaBucket).Get(lastKey), seqKey(seq))
	if !ok {
		return nil
	}
	return record
}

// Renumber begins an epoch with the events that are not stored: their order and
// their content stay, and the first becomes number 1. The epoch follows the last
// one that is stored ([Store.Follows]). What is known of the rooms stays.
//
// It is one transaction. After an error the file has all of it or nothing, and all
// of the outbox waits: a comparison with the stream tells what is stored.
func (s *Store) Renumber() error {
	s.write.Lock()
	defer s.write.Unlock()
	s.mu.Lock()
	stored := s.stored
	s.stored = 0 // whatever comes of it: no row is deleted meanwhile that the stream may lack
	s.mu.Unlock()
	err := s.transact(func(tx *bbolt.Tx) error { return renumber(tx, stored) })
	m, rerr := s.readFile()
	if rerr == nil {
		s.start(m)
	}
	if err := errors.Join(err, rerr); err != nil {
		return fmt.Errorf("renumber outbox after %d: %w", stored, err)
	}
	return nil
}

func renumber(tx *bbolt.Tx, stored uint64) error {
	m, err := readMirror(tx)
	if err != nil {
		return err
	}
	if err := dropRows(tx, m.oldest, stored); err != nil {
		return err
	}
	outbox, meta := tx.Bucket(outboxBucket), tx.Bucket(metaBucket)
	if stored > 0 {
		last := bytes.Clone(getLast(tx, stored)) // nil in the file of an earlier build; then the ID must do
		if err := meta.Delete(lastKey); err != nil {
			return err
		}
		if last != nil {
			if err := putLast(tx, 0, last); err != nil {
				return err
			}
		}
		m.follows = eventID(m.epoch, stored)
	}
	for seq := stored + 1; stored > 0 && seq <= m.counters.Seq; seq++ {
		v := bytes.Clone(outbox.Get(seqKey(seq)))
		if err := errors.Join(outbox.Delete(seqKey(seq)), outbox.Put(seqKey(seq-stored), v)); err != nil {
			return err
		}
	}
	m.counters.Seq -= stored
	if err := putCounters(tx, m.counters); err != nil {
		return err
	}
	return beginEpoch(tx, m.follows)
}

// beginEpoch names an epoch that follows an event, or none.
func beginEpoch(tx *bbolt.Tx, follows string) error {
	meta := tx.Bucket(metaBucket)
	before, _, _ := strings.Cut(follows, "-")
	if err := meta.Put(epochKey, []byte(newEpoch(string(meta.Get(epochKey)), before))); err != nil {
		return err
	}
	return meta.Put(followsKey, []byte(follows))
}
