package state

import (
	"encoding/binary"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"roomwatch/diff"
)

const (
	// trimRows is how many stored rows a transaction takes out of the outbox
	// beside its own work.
	trimRows = 4000
	// trimLag is how many stored rows may wait for the next transaction.
	trimLag = 10000
)

// Position returns the epoch, the last sequence number known to be stored in
// the stream and the last one given. It reads memory only.
func (s *Store) Position() (epoch string, stored, assigned uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.epoch, s.stored, s.now.Seq
}

// Follows returns the ID of the event that was the stream's last when the epoch
// began, or "" if it began with a new state.
func (s *Store) Follows() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.follows
}

// WatchedSince returns when the rooms were first looked at, by the service's clock, or
// what took its place in a rebuild; zero if that is not known.
func (s *Store) WatchedSince() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return fromNano(s.now.WatchedSince)
}

// Events returns at most limit events with sequence numbers above after, oldest
// first. There may be more even if it returns fewer; none are left after none.
func (s *Store) Events(after uint64, limit int) ([]diff.Event, error) {
	s.mu.Lock()
	events, assigned := s.tail.after(after, limit), s.now.Seq
	s.mu.Unlock()
	// The file is ahead of the mirror for a moment after a commit. What is read
	// in it must wait for the signal that follows: Stored could not note it yet.
	if len(events) > 0 || after >= assigned {
		return events, nil
	}
	events = make([]diff.Event, 0, min(uint64(limit), assigned-after))
	err := s.db.View(func(tx *bbolt.Tx) error {
		epoch := string(tx.Bucket(metaBucket).Get(epochKey))
		c := tx.Bucket(outboxBucket).Cursor()
		for k, v := c.Seek(seqKey(after + 1)); k != nil && len(events) < limit; k, v = c.Next() {
			seq, err := seqOf(k)
			if err != nil {
				return err
			}
			if seq > assigned {
				break
			}
			e, err := decodeEvent(epoch, seq, v)
			if err != nil {
				return err
			}
			events = append(events, e)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read outbox after %d: %w", after, err)
	}
	return events, nil
}

// Committed returns a channel that gets a value after commits that added
// events, or that may have, and after the first look ([Store.WatchedSince]); one
// value can stand for several commits.
func (s *Store) Committed() <-chan struct{} { return s.committed }

// Stored notes that the stream has every event up to seq. The rows leave the
// outbox with the next transactions: a crash before that costs nothing, since
// the publisher asks the stream which event it has last.
func (s *Store) Stored(seq uint64) error {
	s.mu.Lock()
	s.stored = max(s.stored, min(seq, s.now.Seq))
	s.tail.drop(s.stored)
	lag := s.stored + 1 - s.oldest
	s.mu.Unlock()
	if lag <= trimLag {
		return nil
	}
	return s.trim(trimLag / 2)
}

// trim deletes stored rows until no more than lag are left.
func (s *Store) trim(lag uint64) error {
	s.write.Lock()
	defer s.write.Unlock()
	for {
		s.mu.Lock()
		rows := s.stored + 1 - s.oldest
		s.mu.Unlock()
		if rows <= lag {
			return nil
		}
		// update itself trims.
		if err := s.update(func(*bbolt.Tx, *counters) (bool, error) { return true, nil }); err != nil {
			return fmt.Errorf("trim outbox: %w", err)
		}
	}
}

// trimTx deletes up to limit rows that the stream has.
func (s *Store) trimTx(tx *bbolt.Tx, limit uint64) error {
	s.mu.Lock()
	from, stored := s.oldest, s.stored
	s.mu.Unlock()
	return dropRows(tx, from, min(stored, from+limit-1))
}

// dropRows deletes the rows from … to, and keeps the content of the last one.
func dropRows(tx *bbolt.Tx, from, to uint64) error {
	b := tx.Bucket(outboxBucket)
	if v := b.Get(seqKey(to)); from <= to && v != nil {
		if err := putLast(tx, to, v); err != nil {
			return err
		}
	}
	for seq := from; seq <= to; seq++ {
		if err := b.Delete(seqKey(seq)); err != nil {
			return fmt.Errorf("delete event %d: %w", seq, err)
		}
	}
	return nil
}

func seqOf(key []byte) (uint64, error) {
	if len(key) != 8 {
		return 0, fmt.Errorf("outbox key %x is not a sequence number", key)
	}
	return binary.BigEndian.Uint64(key), nil
}
