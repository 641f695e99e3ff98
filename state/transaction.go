package state

import (
	"errors"
	"fmt"

	"github.com/fxamacker/cbor/v2"
	"go.etcd.io/bbolt"
)

// A mirror is what a transaction leaves in the file, once it has committed.
type mirror struct {
	epoch    string
	follows  string
	counters counters
	gaps     []gapRecord
	oldest   uint64
}

func readMirror(tx *bbolt.Tx) (mirror, error) {
	c, err := getCounters(tx)
	if err != nil {
		return mirror{}, err
	}
	gaps, err := readGaps(tx)
	if err != nil {
		return mirror{}, err
	}
	meta := tx.Bucket(metaBucket)
	m := mirror{epoch: string(meta.Get(epochKey)), follows: string(meta.Get(followsKey)), counters: c, gaps: gaps, oldest: c.Seq + 1}
	if k, _ := tx.Bucket(outboxBucket).Cursor().First(); k != nil {
		m.oldest, err = seqOf(k)
	}
	return m, err
}

func (s *Store) readFile() (m mirror, err error) {
	err = s.db.View(func(tx *bbolt.Tx) (err error) {
		m, err = readMirror(tx)
		return err
	})
	return m, err
}

// adopt makes the mirror what a committed transaction left.
func (s *Store) adopt(m mirror) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.epoch, s.follows, s.now, s.gaps, s.oldest = m.epoch, m.follows, m.counters, m.gaps, m.oldest
}

// start adopts a file of which nothing else is known: its whole outbox waits.
func (s *Store) start(m mirror) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.epoch, s.follows, s.now, s.gaps, s.oldest = m.epoch, m.follows, m.counters, m.gaps, m.oldest
	s.stored = m.oldest - 1
	s.tail.clear()
}

// getCounters reads the counters from the file, in every transaction anew: a
// commit can reach the disk and report an error, and then only the file knows.
func getCounters(tx *bbolt.Tx) (counters, error) {
	var c counters
	if err := decode.Unmarshal(tx.Bucket(metaBucket).Get(countersKey), &c); err != nil {
		return c, fmt.Errorf("decode counters: %w", err)
	}
	return c, nil
}

func putCounters(tx *bbolt.Tx, c counters) error {
	v, err := cbor.Marshal(c)
	if err != nil {
		return fmt.Errorf("encode counters: %w", err)
	}
	return tx.Bucket(metaBucket).Put(countersKey, v)
}

// update runs f in a transaction that writes. It is committed only if f says
// that it changed something; otherwise not a byte is written.
//
// What is true after an error, by where it came from:
//
//	f, or no space to grow   nothing of the transaction is in the file
//	the last sync            all of it may be in the file, or nothing: the mirror
//	                         and the next transaction ask the file
func (s *Store) update(f func(tx *bbolt.Tx, c *counters) (changed bool, err error)) error {
	tx, err := s.db.Begin(true)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // after a commit there is nothing to roll back
	if tx.Bucket(metaBucket).Get(rebuildKey) != nil {
		return errHalfRebuilt
	}
	c, err := getCounters(tx)
	if err != nil {
		return err
	}
	if !s.indexed {
		if err := s.index.load(tx); err != nil {
			return err
		}
	}
	s.indexed = false // until all of it is in the file
	changed, err := f(tx, &c)
	if err != nil {
		return err
	}
	if !changed {
		s.indexed = true
		return nil
	}
	c.Sweep = s.sweep
	if err := putCounters(tx, c); err != nil {
		return err
	}
	if err := s.trimTx(tx, trimRows); err != nil {
		return err
	}
	m, err := readMirror(tx)
	if err != nil {
		return err
	}
	if err := s.commit(tx); err != nil {
		return errors.Join(err, s.refresh())
	}
	s.adopt(m)
	s.indexed = true
	return nil
}

// transact runs f in a transaction that writes, for what replaces the whole state.
func (s *Store) transact(f func(tx *bbolt.Tx) error) error {
	tx, err := s.db.Begin(true)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // after a commit there is nothing to roll back
	if err := f(tx); err != nil {
		return err
	}
	return s.commit(tx)
}

// refresh reads the mirror from the file, after a commit of which nobody knows
// whether it was one.
func (s *Store) refresh() error {
	m, err := s.readFile()
	if err != nil {
		return fmt.Errorf("read counters: %w", err)
	}
	s.adopt(m)
	s.signal()
	return nil
}
