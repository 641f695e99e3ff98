package diff

import "time"

// A Proof is the end of a room that reads have proved.
type Proof struct {
	RoomID   string
	Evidence Evidence
}

// Proved returns the ends that are proved by reads. known is how many rooms
// are known, marked which of them sweeps have missed, and missing how many.
//
// Where more than MassEndPercent of at least 20 known rooms are missing, passed
// or not found, nothing ends until so many have two witnesses that the share is
// proved, the first and the last of them an interval apart.
func (w *Witnesses) Proved(known, missing int, marked func(id string) bool) []Proof {
	var proofs []Proof
	var first, last time.Time
	for id, a := range w.gone {
		if !a.proved(w.trusted) {
			continue
		}
		proofs = append(proofs, Proof{id, Evidence{By: ByInfo, Requests: Requested(a.first.request, a.last.request)}})
		if first.IsZero() || a.first.at.Before(first) {
			first = a.first.at
		}
		last = later(last, a.last.at)
	}
	if len(proofs) == 0 || !w.policy.isMass(known, missing+w.unmarked(marked)) {
		return proofs
	}
	if w.policy.isMass(known, len(proofs)) && last.Sub(first) >= w.policy.MassEndSpan() {
		return proofs
	}
	return nil
}

// unmarked counts the rooms that are passed or not found, without those that sweeps have missed.
func (w *Witnesses) unmarked(marked func(id string) bool) (n int) {
	counted := make(map[string]bool, len(w.gone)+len(w.passed))
	for id := range w.gone {
		counted[id] = true
	}
	for _, id := range w.passed {
		counted[id] = true
	}
	for id := range counted {
		if !marked(id) {
			n++
		}
	}
	return n
}

// isMass reports whether so many of the known rooms are rather a fault of the
// service than so many ends.
func (p Policy) isMass(known, of int) bool {
	return p.MassEndSweeps > 0 && known >= massEndRooms && float64(of)*100 > p.MassEndPercent*float64(known)
}
