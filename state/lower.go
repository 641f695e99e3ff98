package state

import "roomwatch/diff"

// lower takes that a page shows fewer views of a room than are believed, and proposes
// the room once that is worth a read. It reports whether the page is believed without.
// What is noted of it is lost with the process: the next sweeps show it anew.
func (r *reads) lower(known diff.Room, p diff.Page) (believe bool) {
	ask := false
	r.with(func(w *diff.Witnesses) { ask, believe = w.Lower(known, p.Begin, p.At) })
	if ask {
		r.ask(known.RoomID, diff.LowerCount)
	}
	return believe
}
