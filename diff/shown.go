package diff

import "time"

// A showing is a read that has shown a room.
type showing struct {
	sent  time.Time // the newest of them
	known bool      // the room was known before the first of them
}

// Show notes that a read has shown a room; known: it was known before.
func (w *Witnesses) Show(r Read, known bool) {
	delete(w.failed, r.RoomID)
	n, ok := w.shown[r.RoomID]
	if !ok {
		n.known = known
	}
	n.sent = later(n.sent, r.Sent)
	w.shown[r.RoomID] = n
	if w.Lowers(r) {
		delete(w.lower, r.RoomID) // it has decided
	}
	w.raise(r.Room)
}

// ShowOld notes that a read has shown a life of a room that is over: it says nothing
// of the one that is known.
func (w *Witnesses) ShowOld(r Read) {
	w.failed[r.RoomID] = w.failed[r.RoomID].again(r.At)
}

// Shown reports whether a read that was sent since a sweep began has shown the room, so
// that the sweep says nothing of it, and whether that sweep has missed it, if it did
// not show it.
func (w *Witnesses) Shown(id string, begin time.Time) (ok, missed bool) {
	n, ok := w.shown[id]
	ok = ok && !n.sent.Before(begin)
	return ok, ok && n.known
}
