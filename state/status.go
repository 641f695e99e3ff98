package state

import (
	"time"

	"roomwatch/diff"
)

// A Status is what the store knows at a moment.
type Status struct {
	Rooms, Missing uint64        // rooms known to be live, and those of them that the newest complete sweeps did not show
	Hidden         uint64        // rooms known to be live that the list does not show
	Sweep          uint64        // number of the current sweep; if none is under way, of the next one
	LastComplete   time.Time     // when the newest complete sweep ended; zero if there was none
	Waiting        uint64        // events that the stream is not known to have yet
	MissRate       float64       // how likely a sweep is to miss a room that is live
	Recall         *float64      // what share of the live rooms a sweep shows, see [diff.History.SweepRecall]; nil: not measured yet
	Doubted        int           // complete sweeps in a row that missed most rooms
	Guarded        bool          // nothing ends until more of them agree
	Ahead          time.Duration // of this machine's clock, which was set back, is the time of the next event; 0: it is not
	Held           diff.HeldEnds // ends that reads have proved and that wait because so many would end at once
	News           News          // how fresh it is
	Removed        bool          // the file was removed or replaced; looked at when a sweep ends
}

// Status returns what the store knows now. It reads memory only.
func (s *Store) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.now.history()
	var recall *float64
	if share, measured := h.SweepRecall(); measured {
		recall = &share
	}
	var held diff.HeldEnds
	s.reads.with(func(w *diff.Witnesses) { held = w.Held() })
	return Status{
		Rooms: s.now.Rooms, Missing: s.now.Missing, Hidden: s.now.Hidden, Sweep: s.sweep,
		LastComplete: h.End, Waiting: s.now.Seq - min(s.stored, s.now.Seq),
		MissRate: h.MissRate(), Recall: recall, Doubted: h.Doubted, Guarded: s.policy.Guards(h), Removed: s.removed, Ahead: max(0, time.Until(fromNano(s.now.Time))), Held: held, News: s.meter.news(time.Now()),
	}
}
