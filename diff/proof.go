package diff

import "time"

// A Proof is the end of a room that reads have proved.
type Proof struct {
	RoomID   string
	Evidence Evidence
	Newer    *Read // of the life that has taken the room's place; nil if none has
	callback bool  // a callback is one of the witnesses
	signed   int64 // see [Callback.Signed]
}

// Means reports whether the proof is one of a life of its room: a callback that was sent
// before the life began, or in the second in which it did, means an earlier one.
func (p Proof) Means(life Room) bool { return !p.callback || life.CreateTime < p.signed }

// Proved returns the ends that are proved by reads. known is how many rooms
// are known, marked which of them sweeps have missed, and missing how many.
//
// Where more than MassEndPercent of at least 20 known rooms are missing, passed,
// not found or shown in a newer life, nothing ends until more than that share is proved:
// each of those rooms by two answers of its own at least [Policy.MassEndSpan] apart.
func (w *Witnesses) Proved(known, missing int, marked func(id string) bool) []Proof {
	var proofs []Proof
	apart := 0 // of them, those whose own witnesses are far apart
	add := func(p Proof, span time.Duration) {
		proofs = append(proofs, p)
		if span >= w.policy.MassEndSpan() {
			apart++
		}
	}
	for id, a := range w.gone {
		if a.proved(w.trusted) {
			add(Proof{RoomID: id, Evidence: Evidence{By: ByInfo, Requests: Requested(a.first.request, a.last.request)}, callback: a.first.callback, signed: a.first.signed}, a.last.at.Sub(a.first.at))
		}
	}
	for id, n := range w.newer {
		if n.believed() {
			add(Proof{RoomID: id, Evidence: Evidence{By: ByInfo, Requests: Requested(n.read.RequestID)}, Newer: &n.read}, n.last.Sub(n.first))
		}
	}
	w.held = HeldEnds{}
	if len(proofs) == 0 {
		return nil
	}
	absent := missing + w.unmarked(marked)
	if !w.policy.isMass(known, absent) || w.policy.isMass(known, apart) {
		return proofs
	}
	w.held = HeldEnds{Proved: len(proofs), Absent: absent, Known: known}
	return nil
}

// HeldEnds are ends that reads have proved and that wait, because so many rooms would
// end at once that the service is doubted. The zero HeldEnds are none.
type HeldEnds struct {
	Proved int // ends that wait
	Absent int // rooms that are missing, passed, not found or shown in a newer life
	Known  int // rooms that are known, without hidden ones
}

// Held returns the ends that wait since [Witnesses.Proved] was asked last: with each control,
// for as long as there are absences to believe.
func (w *Witnesses) Held() HeldEnds {
	if len(w.gone)+len(w.newer) == 0 {
		return HeldEnds{}
	}
	return w.held
}

// Wants reports whether a read of a room that sweeps do not show can tell more than is
// known: not while one is on its way, and not after two that did not find it. A
// control is what they need then, and after an interval a third, if so many
// rooms are gone that nothing ends before that. Old ones are asked again.
func (w *Witnesses) Wants(id string, now time.Time) bool {
	if _, ok := w.asked[id]; ok {
		return false
	}
	a, ok := w.gone[id]
	if !ok || a.witnesses() == 1 {
		return true
	}
	apart := a.first.at.Add(w.policy.MassEndSpan())
	return a.last.at.Before(apart) && !now.Before(apart) || now.Sub(a.last.at) >= queuedFor
}

// unmarked counts the rooms that are passed, not found or shown in a newer life, without
// those that sweeps have missed.
func (w *Witnesses) unmarked(marked func(id string) bool) (n int) {
	counted := make(map[string]bool, len(w.gone)+len(w.newer)+len(w.passed))
	for id := range w.gone {
		counted[id] = true
	}
	for id := range w.newer {
		counted[id] = true
	}
	for id := range w.passed {
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
