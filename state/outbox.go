package state

import (
	"fmt"
	"slices"

	"go.etcd.io/bbolt"

	"roomwatch/diff"
)

const (
	// trimRows is how many stored rows a transaction takes out of the outbox
	// beside its own work.
	trimRows = 4000
	// trimLag is how many stored rows may wait for the next transaction.
	trimLag = 10000
	// recentRows is how many events at least are kept in memory beside the
	// outbox: what is published at once need not be read from the file again.
	recentRows = 2000
)

// Position returns the epoch, the last sequence number known to be stored in
// the stream and the last one given. It reads memory only.
func (s *Store) Position() (epoch string, stored, assigned uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.epoch, s.stored, s.now.Seq
}

// Events returns at most limit events with sequence numbers above after, oldest
// first. There may be more even if it returns fewer; none are left after none.
func (s *Store) Events(after uint64, limit int) ([]diff.Event, error) {
	if events := s.remembered(after, limit); len(events) > 0 {
		return events, nil
	}
	// The file is ahead of the mirror for a moment after a commit. What is read
	// in it must wait for the signal that follows: Stored could not note it yet.
	_, _, assigned := s.Position()
	var events []diff.Event
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

// remember keeps the newest committed events, without gaps.
func (s *Store) remember(events []diff.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.recent); n > 0 && events[0].Seq != s.recent[n-1].Seq+1 {
		s.recent = nil // a commit between them had an error and may have reached the disk
	}
	s.recent = append(s.recent, events...)
	if over := len(s.recent) - recentRows; over > recentRows/2 {
		s.recent = slices.Delete(s.recent, 0, over)
	}
}

// remembered returns what Events does, if memory has it.
func (s *Store) remembered(after uint64, limit int) []diff.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.recent) == 0 || after+1 < s.recent[0].Seq || after >= s.recent[len(s.recent)-1].Seq {
		return nil
	}
	from := after + 1 - s.recent[0].Seq
	return slices.Clone(s.recent[from:min(from+uint64(limit), uint64(len(s.recent)))])
}

// Committed returns a channel that gets a value after commits that added
// events, or that may have; one value can stand for several commits.
func (s *Store) Committed() <-chan struct{} { return s.committed }

// Stored notes that the stream has every event up to seq. The rows leave the
// outbox with the next transactions: a crash before that costs nothing, since
// the publisher asks the stream which event it has last.
func (s *Store) Stored(seq uint64) error {
	s.mu.Lock()
	s.stored = max(s.stored, min(seq, s.now.Seq))
	if n := len(s.recent); n > 0 && s.recent[n-1].Seq <= seq {
		s.recent = nil // all of them are stored: nobody asks for them any more
	}
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
	b := tx.Bucket(outboxBucket)
	for seq := from; seq <= stored && seq < from+limit; seq++ {
		if err := b.Delete(seqKey(seq)); err != nil {
			return fmt.Errorf("delete event %d: %w", seq, err)
		}
	}
	return nil
}
