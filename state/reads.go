package state

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"go.etcd.io/bbolt"

	"roomwatch/diff"
)

// reads is what the store knows of point reads, in memory: a process that starts
// anew asks anew.
type reads struct {
	propose func(diff.Proposal) // nil: there are no point reads

	mu        sync.Mutex
	witnesses *diff.Witnesses
}

// with calls f with the witnesses, or not at all if there are no point reads.
func (r *reads) with(f func(w *diff.Witnesses)) {
	if r.propose == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	f(r.witnesses)
}

// saw notes that a page was read. It is called at once, not when the page is
// committed: a read that leaves now knows nothing older.
func (r *reads) saw(p diff.Page) { r.with(func(w *diff.Witnesses) { w.Saw(p.Rooms, p.At) }) }

func (r *reads) ask(id string, source diff.Source) {
	if r.propose != nil {
		r.propose(diff.Proposal{RoomID: id, Source: source})
	}
}

// askAbsent proposes a room that a sweep does not show, if a read can tell more of it.
func (r *reads) askAbsent(id string, source diff.Source, now time.Time) {
	wanted := false
	r.with(func(w *diff.Witnesses) { wanted = w.Wants(id, now) })
	if wanted {
		r.ask(id, source)
	}
}

// doubt proposes a room that a page shows otherwise than it is known.
func (r *reads) doubt(known *diff.Known, row diff.Room, at time.Time) {
	if known != nil && row.CreateTime > known.Room.CreateTime {
		r.with(func(w *diff.Witnesses) { w.List(row, at) })
	}
	r.ask(row.RoomID, diff.ShownAgain)
}

func (r *reads) answering(now time.Time) (ok bool) {
	r.with(func(w *diff.Witnesses) { ok = w.Answering(now) })
	return ok
}

func (r *reads) waits(id string, m diff.Missing, now time.Time) (ok bool) {
	r.with(func(w *diff.Witnesses) { ok = w.Waits(id, m.LastSeen, now) })
	return ok
}

// withoutShown takes out of the rooms that a sweep has not shown those that a read
// has shown since it began. missed is how many of them the sweep has missed.
func (r *reads) withoutShown(unseen []string, begin time.Time) (rest []string, missed int) {
	rest = unseen
	r.with(func(w *diff.Witnesses) {
		rest = slices.DeleteFunc(unseen, func(id string) bool {
			ok, miss := w.Shown(id, begin)
			if miss {
				missed++
			}
			return ok
		})
	})
	return rest, missed
}

// Tell takes what a callback says of a room, and proposes it. It does not wait for
// anything that is written, and without point reads does nothing.
func (s *Store) Tell(c diff.Callback) {
	s.reads.with(func(w *diff.Witnesses) { w.Tell(c) })
	s.reads.ask(c.RoomID, diff.ToldByCallback)
}

func (r *reads) forget(id string) { r.with(func(w *diff.Witnesses) { w.Forget(id) }) }

// disbelieve takes back what a callback of an earlier life has said of a room.
func (r *reads) disbelieve(id string) {
	r.with(func(w *diff.Witnesses) {
		if again := w.Disbelieve(id); !again.IsZero() {
			r.propose(diff.Proposal{RoomID: id, Source: diff.AskedAgain, Due: again})
		}
	})
}

// CommitReads takes the answers of point reads and writes what they prove. It
// writes in one transaction, and nothing if they prove nothing; a crash before it
// commits leaves nothing of it, and the rooms are proposed again.
func (s *Store) CommitReads(answers ...diff.Read) error {
	s.write.Lock()
	defer s.write.Unlock()
	present, trusted := s.hear(answers)
	if len(present) == 0 && !trusted {
		return nil
	}
	began := time.Now()
	var w writer
	err := s.update(func(tx *bbolt.Tx, c *counters) (bool, error) {
		w = s.newWriter(tx, c)
		w.gapTo = s.gapTo(c, answers[len(answers)-1].At.Round(0))
		for _, r := range present {
			if err := s.show(&w, r); err != nil {
				return false, err
			}
		}
		if trusted || len(w.replaced) > 0 {
			if err := s.endProved(&w, answers[len(answers)-1].At); err != nil {
				return false, err
			}
		}
		return w.changed, nil
	})
	if err != nil {
		return fmt.Errorf("commit %d point reads: %w", len(answers), err)
	}
	s.done(&w, began)
	for _, f := range w.after {
		f()
	}
	s.reads.with(func(witnesses *diff.Witnesses) {
		for _, p := range w.replaced {
			if witnesses.Replacing(p.RoomID) {
				s.reads.propose(p)
			}
		}
	})
	return nil
}

// hear takes the answers, and proposes the rooms that are to be read again. It returns those
// that show a room, and whether a control was found, so that absences may be proved.
func (s *Store) hear(answers []diff.Read) (present []diff.Read, trusted bool) {
	has := s.knows()
	s.reads.with(func(w *diff.Witnesses) {
		for _, r := range answers {
			f := w.Hear(r)
			trusted = trusted || f.Trusted
			if f.Present {
				present = append(present, r)
			}
			known := has(r.RoomID)
			if !known {
				w.Forget(r.RoomID)
				s.hidden.remove(r.RoomID)
			}
			if !f.Again.IsZero() && (known || f.Told) {
				source := diff.AskedAgain
				if f.Told {
					source = diff.ToldOtherwise
				}
				s.reads.propose(diff.Proposal{RoomID: r.RoomID, Source: source, Due: f.Again})
			}
		}
	})
	return present, trusted
}

// knows returns what tells whether a room is known. After a write that did not
// succeed, the index is made anew; as long as it cannot be, any room may be known.
func (s *Store) knows() func(id string) bool {
	if !s.indexed {
		s.indexed = s.db.View(s.index.load) == nil
	}
	if !s.indexed {
		return func(string) bool { return true }
	}
	return s.index.has
}

// look returns the circumstances of what was seen at a moment.
func (s *Store) look(w *writer, at time.Time) diff.Look {
	at = at.Round(0)
	return diff.Look{
		At: w.clock(at), Wall: at, Sweep: s.sweep, Baseline: !w.c.BaselineDone,
		LastComplete: fromNano(w.c.Begin), WatchedSince: fromNano(w.c.WatchedSince),
	}
}

// show takes what a read shows. A newer life than the known one waits for its proof.
func (s *Store) show(w *writer, r diff.Read) error {
	key, record := w.rooms.find(r.RoomID)
	known, err := w.room(r.RoomID, key, record)
	if err != nil {
		return err
	}
	if !r.Replaces(known) {
		w.evidence = diff.Evidence{By: diff.ByInfo, Requests: diff.Requested(r.RequestID)}
		return s.believe(w, key, known, r)
	}
	s.reads.with(func(witnesses *diff.Witnesses) {
		again := witnesses.Replace(r)
		w.replaced = append(w.replaced, diff.Proposal{RoomID: r.RoomID, Source: diff.AskedAgain, Due: again})
	})
	return nil
}

// believe writes what a read shows.
func (s *Store) believe(w *writer, key []byte, known *diff.Known, r diff.Read) error {
	var end diff.RecentEnd
	if known == nil || known.Room.CreateTime != r.Room.CreateTime {
		var err error
		if end, err = w.ends.find(r.RoomID); err != nil {
			return err
		}
	}
	s.reads.with(func(w *diff.Witnesses) { r.Lowers = w.Lowers(r) })
	sight := s.policy.SeeRead(known, end, r, s.look(w, r.At), w.c.Complete)
	w.after = append(w.after, func() {
		s.reads.with(func(w *diff.Witnesses) {
			switch {
			case sight.Stale && known == nil:
				return
			case sight.Stale:
				w.ShowOld(r)
				return
			}
			w.Show(r, r.Outcome == diff.Live && known != nil && known.Room.CreateTime == r.Room.CreateTime)
		})
	})
	s.keepHidden(w, r.RoomID, sight.Known.Room.Hidden)
	return w.take(key, known, sight)
}

// keepHidden keeps in step which rooms are hidden. A room is added before the
// transaction commits and removed after it: what fails to commit may be in the file,
// or not, and a hidden room that is not among them would never end.
func (s *Store) keepHidden(w *writer, id string, hidden bool) {
	if hidden {
		s.hidden.add(id)
	}
	w.after = append(w.after, func() { s.hidden.set(id, hidden) })
}

// endProved ends the rooms whose end reads have proved, and writes the newer lives that
// have taken their place.
func (s *Store) endProved(w *writer, at time.Time) error {
	var proofs []diff.Proof
	s.reads.with(func(witnesses *diff.Witnesses) {
		proofs = witnesses.Proved(int(w.c.Rooms-w.c.Hidden), int(w.c.Missing), w.marked)
	})
	for _, p := range proofs {
		key, record := w.rooms.find(p.RoomID)
		known, err := w.room(p.RoomID, key, record)
		if err != nil {
			return err
		}
		if known == nil || p.Newer != nil && !p.Newer.Replaces(known) { // sweeps or pages were faster
			w.after = append(w.after, func() { s.reads.forget(p.RoomID) })
			continue
		}
		if !p.Means(known.Room) {
			w.after = append(w.after, func() { s.reads.disbelieve(p.RoomID) })
			continue
		}
		w.evidence = p.Evidence
		if p.Newer != nil && p.Newer.Outcome == diff.Live {
			w.after = append(w.after, func() { s.reads.forget(p.RoomID) })
			err = s.believe(w, key, known, *p.Newer)
		} else {
			err = s.endRead(w, key, *known, at)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// endRead ends a room whose end reads have proved.
func (s *Store) endRead(w *writer, key []byte, k diff.Known, at time.Time) error {
	id := k.Room.RoomID
	w.after = append(w.after, func() { s.reads.forget(id) })
	s.keepHidden(w, id, false)
	events, end := s.policy.EndRead(k, s.look(w, at), w.c.Complete)
	return w.end(key, k.Missing.First > 0, k.Room.Hidden, end, events)
}

// marked reports whether sweeps have missed a room.
func (w *writer) marked(id string) bool {
	key, _ := w.rooms.find(id)
	return key != nil && w.missing.Get(key) != nil
}
