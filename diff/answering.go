package diff

import "time"

const (
	failedReads = 5                // of a room, after which sweeps decide
	answerWait  = 10 * time.Second // that an end by sweeps waits for a read on its way; one that takes longer is lost
)

// A failure is how often the reads of a room said nothing, and when the last one did.
type failure struct {
	reads  int
	at     time.Time
	waited time.Time // since when its end by sweeps has waited for reads on their way; zero: it has not
}

// again returns the failure with one more read that said nothing.
func (f failure) again(at time.Time) failure {
	f.reads, f.at = f.reads+1, at
	return f
}

// fail notes that a read said nothing of its room.
func (w *Witnesses) fail(r Read) {
	w.failed[r.RoomID] = w.failed[r.RoomID].again(r.At)
	if r.Odd && (w.odd == "" || w.odd == r.RoomID) {
		w.odd = r.RoomID // it says nothing of reads of other rooms
		return
	}
	w.unanswered(r.At)
}

// unanswered takes a read without a definite answer into the run of those. A run ends
// with a definite answer, or when nothing is asked for an interval and the
// time that a read may take.
func (w *Witnesses) unanswered(at time.Time) {
	if w.failing.IsZero() || at.Sub(w.fails) > w.span()+answerWait {
		w.failing = at
	}
	w.fails = at
}

// Refuse notes that the service refuses all reads, until it answers one.
func (w *Witnesses) Refuse() {
	w.refused = true
	clear(w.gone)
}

// Answering reports whether reads get definite answers, as far as is known: they were
// not asked in vain for a whole interval, from one failure to another. Where nothing
// was asked of late, nobody knows better.
func (w *Witnesses) Answering(now time.Time) bool {
	return !w.refused && (w.failing.IsZero() || w.fails.Sub(w.failing) < w.span() || now.Sub(w.fails) > w.span()+answerWait)
}

// Waits reports whether the end of a room that sweeps have missed, and that was
// seen last at a moment, waits for reads of its own. It does while reads are answered
// and those of the room have not failed five times: sweeps never show a hidden room, and
// would end it. A room that one read did not find waits for what proves its end, unless
// so many wait that the second read is not sent, or does not come, or two reads did not find it and
// there is no room for a control. A read that is on its way is waited for, but not for ever.
//
// So what thousands of rooms that end at once wait for is one read of each: what sweeps
// prove is not held up for two.
func (w *Witnesses) Waits(id string, seen, now time.Time) bool {
	if f := w.failed[id]; w.isAsked(id) && !f.waited.After(seen) {
		if f.waited = now; f.reads == 0 {
			f.at = now
		}
		w.failed[id] = f
	}
	return w.waits(id, seen, now)
}

// waits is Waits without the note since when a read on its way is waited for.
func (w *Witnesses) waits(id string, seen, now time.Time) bool {
	f := w.failed[id]
	if w.isAsked(id) && (!f.waited.After(seen) || now.Sub(f.waited) < answerWait) {
		return true
	}
	if !w.Answering(now) || f.reads >= failedReads && f.at.After(seen) {
		return false
	}
	a, ok := w.gone[id]
	if !ok {
		return true
	}
	age := now.Sub(a.first.at)
	if a.witnesses() == 1 {
		sent := f.at.After(a.first.at) // the second read, in vain
		return age < turnFor || sent && age < queuedFor
	}
	return age < queuedFor && w.controllable(now)
}
