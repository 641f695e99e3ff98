package state

import (
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"roomwatch/diff"
)

// unknown returns those of the rooms that nobody knew, and whose end is not remembered
// either. Before the first complete sweep it returns none.
func (s *Store) unknown(rooms []diff.Room) (unknown []diff.Room, err error) {
	if s.reads.propose == nil || !s.counters().BaselineDone {
		return nil, nil
	}
	for _, r := range rooms {
		if !s.index.has(r.RoomID) {
			unknown = append(unknown, r)
		}
	}
	if len(unknown) == 0 {
		return nil, nil
	}
	err = s.db.View(func(tx *bbolt.Tx) error {
		ends, rest := newRecentEnds(tx), unknown[:0]
		for _, r := range unknown {
			end, err := ends.find(r.RoomID)
			if err != nil {
				return err
			}
			if r.CreateTime > end.CreateTime {
				rest = append(rest, r)
			}
		}
		unknown = rest
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look up %d rooms: %w", len(unknown), err)
	}
	return unknown, nil
}

// CommitProbes is [Store.Commit] for probes, which belong to no sweep: it writes the counts that
// have risen, and proposes what only a read can tell. A crash before the transaction
// commits loses what the probes have shown; the sweep shows it again.
func (s *Store) CommitProbes(pages ...diff.Page) error {
	s.write.Lock()
	defer s.write.Unlock()
	began := time.Now()
	var w writer
	err := s.update(func(tx *bbolt.Tx, c *counters) (bool, error) {
		w = s.newWriter(tx, c)
		for _, p := range pages {
			if err := s.commitProbe(&w, p); err != nil {
				return false, err
			}
		}
		return w.changed, nil
	})
	if err != nil {
		return fmt.Errorf("commit %d probes: %w", len(pages), err)
	}
	s.done(&w, began)
	for _, f := range w.after {
		f()
	}
	return nil
}

func (s *Store) commitProbe(w *writer, p diff.Page) error {
	l := s.look(w, p.At)
	w.gapTo = s.gapTo(w.c, l.Wall)
	l.Begin = p.Begin.Round(0)
	w.evidence = diff.Evidence{By: diff.ByList, Requests: diff.Requested(p.RequestID)}
	for _, r := range p.Rooms {
		key, record := w.rooms.find(r.RoomID)
		known, err := w.room(r.RoomID, key, record)
		if err != nil {
			return err
		}
		var end diff.RecentEnd
		if known == nil {
			if end, err = w.ends.find(r.RoomID); err != nil {
				return err
			}
		}
		sight := s.policy.SeeProbe(known, end, r, l, w.c.Complete)
		if sight.Ask {
			w.after = append(w.after, func() { s.reads.ask(r.RoomID, diff.ShownByProbe) })
		}
		if sight.Stale {
			continue
		}
		w.after = append(w.after, func() {
			s.reads.with(func(witnesses *diff.Witnesses) { witnesses.ShowProbe(r.RoomID, p) })
		})
		if err := w.take(key, known, sight); err != nil {
			return err
		}
	}
	return nil
}
