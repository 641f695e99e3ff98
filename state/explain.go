package state

import (
	"encoding/binary"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"roomwatch/diff"
)

// Facts are what the store knows of one RoomID at a moment, and what its end waits for.
type Facts struct {
	Live   *LiveRoom // nil: it is not known to be live
	Told   int64     // the ViewCount that its last event has told
	Listed uint64    // the newest sweep that has shown it since the start of the process; 0: none has

	End diff.RecentEnd // its newest end that is remembered; zero: none is

	Sweep    uint64       // number of the sweep on its way, or of the next one
	Judged   uint64       // number of the newest complete sweep of this process; 0: there was none
	History  diff.History // of the complete sweeps so far
	Missed   time.Time    // when the first complete sweep began that has missed the room; zero: none has
	Need     uint64       // complete sweeps in a row that must have missed it before sweeps end it …
	Span     time.Duration
	Guarded  bool // nothing ends by sweeps until more of them agree
	HeldBack bool // its end is proved, and too many rooms are gone at once for it to be believed

	Reads *diff.Testimony // what reads and callbacks say of it; nil: there are no point reads
}

// Explain returns what is known of a RoomID at a moment, which has a reading of the
// monotonic clock. It waits for nothing that is written.
func (s *Store) Explain(id string, now time.Time) (f Facts, err error) {
	s.mu.Lock()
	f.Sweep, f.Judged = s.sweep, s.judged
	s.mu.Unlock()
	err = s.db.View(func(tx *bbolt.Tx) error {
		c, err := getCounters(tx)
		if err != nil {
			return err
		}
		f.History = c.history()
		f.Need, f.Span = s.policy.Required(f.History)
		f.Guarded = s.policy.Guards(f.History)
		if f.End, err = newRecentEnds(tx).find(id); err != nil {
			return err
		}
		if err := s.explainLive(tx, id, &f); err != nil {
			return err
		}
		s.explainReads(tx, &c, id, now, &f)
		return nil
	})
	if err != nil {
		return Facts{}, fmt.Errorf("explain room: %w", err)
	}
	return f, nil
}

func (s *Store) explainLive(tx *bbolt.Tx, id string, f *Facts) error {
	table := newRoomTable(tx, s.index)
	key, record := table.find(id)
	if key == nil {
		return nil
	}
	k, err := decodeRoom(id, record)
	if err != nil {
		return err
	}
	live, err := liveRoom(tx, key, k)
	if err != nil {
		return err
	}
	f.Live, f.Told = &live, k.Published
	f.Listed = s.index.listedBy(id, binary.BigEndian.Uint64(key), f.Sweep)
	v := tx.Bucket(missingBucket).Get(key)
	if v == nil {
		return nil
	}
	m, err := decodeMark(id, v)
	if err != nil {
		return err
	}
	f.Missed = f.History.Begin.Add(-max(0, f.History.Watched-m.Watched))
	return nil
}

// explainReads adds what reads and callbacks say.
func (s *Store) explainReads(tx *bbolt.Tx, c *counters, id string, now time.Time, f *Facts) {
	var seen time.Time
	if f.Live != nil {
		seen = f.Live.LastSeen
	}
	s.reads.with(func(w *diff.Witnesses) {
		t := w.Testimony(id, seen, now)
		f.Reads = &t
		if f.Live == nil || !t.Proved {
			return
		}
		table, missing := newRoomTable(tx, s.index), tx.Bucket(missingBucket)
		marked := func(id string) bool {
			key, _ := table.find(id)
			return key != nil && missing.Get(key) != nil
		}
		f.HeldBack = len(w.Proved(int(c.Rooms-c.Hidden), int(c.Missing), marked)) == 0
	})
}

// listedBy returns the newest sweep that has shown a known room since the start of the
// process, up to the one that is going on; 0: none has.
func (x *roomIndex) listedBy(id string, slot, sweep uint64) uint64 {
	x.mu.RLock()
	defer x.mu.RUnlock()
	for h := x.hash(id); ; h++ {
		e, ok := x.entries[h]
		switch {
		case !ok:
			return 0
		case e.slot == slot:
			return sweep - uint64(uint32(sweep)-e.sweep)
		}
	}
}
