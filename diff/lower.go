package diff

import (
	"maps"
	"time"
)

// mostLowered is how many lower counts are remembered at once; those of more rooms
// wait until some of them are decided.
const mostLowered = 10_000

// A lowering is a count of a known life below the one that is believed, as pages show
// it: an old copy of the list, or a count that was reset.
type lowering struct {
	createTime int64
	views      int64     // that are believed
	first      time.Time // when the sweep began whose page showed fewer first
	last       time.Time // when a page did so last
	twice      time.Time // when a page of a sweep at least an interval later did; zero: none has
}

// Lower notes that a page of the sweep that began at a moment shows fewer views of a
// known life than are believed. It reports whether pages of two sweeps, an interval
// apart, have done so, so that a read is to decide; and whether they decide alone,
// because reads of the room get no answer.
func (w *Witnesses) Lower(known Room, begin, at time.Time) (ask, believe bool) {
	n, ok := w.lower[known.RoomID]
	if !ok && len(w.lower) >= mostLowered {
		return false, false
	}
	if n.createTime != known.CreateTime {
		n = lowering{createTime: known.CreateTime, first: begin}
	}
	n.views, n.last = known.ViewCount, at
	if n.twice.IsZero() && begin.Sub(n.first) >= w.span() {
		n.twice = at
	}
	w.lower[known.RoomID] = n
	ask = !n.twice.IsZero()
	f := w.failed[known.RoomID]
	return ask, ask && f.reads >= failedReads && f.at.After(n.twice)
}

// Lowers reports whether the count of a read is believed though it is lower than the
// known one: the read left after pages have shown a lower one often enough.
func (w *Witnesses) Lowers(r Read) bool {
	n := w.lower[r.RoomID]
	return !n.twice.IsZero() && n.createTime == r.Room.CreateTime && r.Sent.After(n.twice)
}

// raise takes back that pages show a lower count: this one does not.
func (w *Witnesses) raise(r Room) {
	if n, ok := w.lower[r.RoomID]; ok && (n.createTime != r.CreateTime || r.ViewCount >= n.views) {
		delete(w.lower, r.RoomID)
	}
}

// forgetLower forgets the lower counts that no page has shown for long.
func (w *Witnesses) forgetLower(now time.Time) {
	maps.DeleteFunc(w.lower, func(_ string, n lowering) bool { return now.Sub(n.last) > failedFor })
}
