package state

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"go.etcd.io/bbolt"

	"roomwatch/diff"
)

// Follow takes over events that another writer has stored, in the order of the stream,
// which have no gap between them, and announces none of them. at is the place in the
// stream up to which all events of this application are taken over then; made is when
// that stream was made. Events that the state has already are passed over.
//
// What was measured of the service stays; marks of missing rooms go, because the other
// writer may have seen the rooms since. Where the numbers of the events go on as the
// state knows them, the epoch goes on, too.
//
// It is one transaction. An error leaves the file as it was, or with all of it; where
// the events do not follow what the state knows, it is [diff.ErrGap], and only [Store.Rebuild]
// helps.
func (s *Store) Follow(events []diff.Event, at uint64, made time.Time) error {
	s.write.Lock()
	defer s.write.Unlock()
	if _, stored, assigned := s.Position(); stored != assigned {
		return fmt.Errorf("follow the stream: %d events of this state are not stored: %w", assigned-stored, diff.ErrGap)
	}
	f := follower{s: s, sweep: s.sweep}
	err := s.update(func(tx *bbolt.Tx, c *counters) (bool, error) {
		f.writer = s.newWriter(tx, c)
		return true, f.take(tx, events, at, made)
	})
	if err != nil {
		return fmt.Errorf("follow the stream to %d: %w", at, err)
	}
	s.mu.Lock()
	s.stored = s.now.Seq
	s.tail.clear()
	s.mu.Unlock()
	s.disturbed = true
	s.complete = time.Time{}
	s.reads.with((*diff.Witnesses).Reset)
	for _, f := range f.after {
		f()
	}
	return nil
}

// Followed returns the place in the stream up to which the state has taken all events
// over, and when that stream was made; 0 if that is not known.
func (s *Store) Followed() (at uint64, made time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now.StreamAt, fromNano(s.now.StreamMade)
}

// A follower is a transaction of [Store.Follow].
type follower struct {
	writer
	s     *Store
	sweep uint64 // the next one: numbers of sweeps do not run backwards
}

func (f *follower) take(tx *bbolt.Tx, events []diff.Event, at uint64, made time.Time) error {
	c := f.c
	if err := dropRows(tx, f.s.firstRow(), c.Seq); err != nil {
		return err
	}
	if err := f.unmark(tx); err != nil {
		return err
	}
	meta := tx.Bucket(metaBucket)
	follows := string(meta.Get(followsKey))
	var last *diff.Event
	for _, e := range events {
		known, err := f.follows(e, follows)
		if err != nil {
			return err
		}
		if known {
			continue
		}
		if err := f.takeOne(e); err != nil {
			return err
		}
		f.epoch, _, _ = strings.Cut(e.ID, "-")
		follows, c.Seq, c.Time = "", e.Seq, max(c.Time, nano(e.Time))
		f.sweep = max(f.sweep, e.Sweep+1)
		last = &e
	}
	c.StreamAt, c.StreamMade = at, nano(made)
	f.s.mu.Lock()
	f.s.sweep = f.sweep // written with this transaction; a number that is too high does no harm after an error
	f.s.mu.Unlock()
	if last == nil {
		return nil
	}
	v, err := f.encode.encodeEvent(*last)
	if err != nil {
		return err
	}
	return errors.Join(putLast(tx, last.Seq, v), meta.Put(epochKey, []byte(f.epoch)), meta.Put(followsKey, nil))
}

// follows reports whether the state has the event, and returns [diff.ErrGap] if it lacks
// any before it. The first event of an epoch follows whatever was last before.
func (f *follower) follows(e diff.Event, follows string) (known bool, err error) {
	epoch, _, _ := strings.Cut(e.ID, "-")
	switch {
	case epoch == f.epoch && e.Seq <= f.c.Seq:
		return true, nil
	case epoch == f.epoch && e.Seq == f.c.Seq+1:
	case f.c.Seq == 0 && follows == eventID(epoch, e.Seq-1):
	case epoch != f.epoch && e.Seq == 1:
	default:
		return false, fmt.Errorf("event %s after %s: %w", e.ID, eventID(f.epoch, f.c.Seq), diff.ErrGap)
	}
	return false, nil
}

// takeOne writes what an event says of its room.
func (f *follower) takeOne(e diff.Event) error {
	id := e.Room.RoomID
	key, record := f.rooms.find(id)
	before, err := f.room(id, key, record)
	if err != nil {
		return err
	}
	k, live := diff.Recall(e)
	if before != nil && before.Room.Hidden {
		f.c.Hidden--
	}
	f.after = append(f.after, func() { f.s.hidden.set(id, live && k.Room.Hidden) })
	if !live {
		if err := f.ends.add(id, diff.RecallEnd(e, e.Sweep)); err != nil || before == nil {
			return err
		}
		f.c.Rooms--
		return f.rooms.remove(key)
	}
	if before != nil && before.Room.CreateTime == k.Room.CreateTime && e.Type != diff.RoomCreated {
		k.FirstSeen = before.FirstSeen
	}
	v, err := f.encode.room(k)
	if err != nil {
		return err
	}
	if k.Room.Hidden {
		f.c.Hidden++
	}
	if before == nil {
		f.c.Rooms++
		return f.rooms.insert(k, v)
	}
	return f.rooms.replace(key, k, v)
}

// unmark takes the marks of missing rooms away, and the sweeps that made them.
func (f *follower) unmark(tx *bbolt.Tx) error {
	c := f.c
	c.Doubted, c.DoubtedSince = 0, 0
	if c.Missing == 0 {
		return nil
	}
	c.Missing = 0
	if err := tx.DeleteBucket(missingBucket); err != nil {
		return err
	}
	var err error
	f.missing, err = tx.CreateBucket(missingBucket)
	return err
}

// firstRow is the number of the first row of the outbox.
func (s *Store) firstRow() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.oldest
}
