package diff

import "time"

// Control returns a room that is to be read now to learn whether absences can be
// believed, and false if none is due or nothing has shown one of late.
func (w *Witnesses) Control(now time.Time) (id string, ok bool) {
	if len(w.gone) == 0 && !w.distrusted || w.control != "" || now.Sub(w.controlAt) < controlEvery {
		return "", false
	}
	if id, ok = w.candidate(now); ok {
		w.control, w.controlAt = id, now
	}
	return id, ok
}

// candidate returns a room for a control: one of the newest page, or else the one that
// a read has shown last.
func (w *Witnesses) candidate(now time.Time) (id string, ok bool) {
	if now.Sub(w.shownAt) > w.span() {
		_, asked := w.asked[w.found]
		return w.found, w.found != "" && !asked && !w.leaving(w.found, now) && now.Sub(w.foundAt) <= w.span()
	}
	for i, id := range w.candidates {
		if _, asked := w.asked[id]; asked || w.leaving(id, now) {
			continue
		}
		// The next control is another room: this one may have ended a moment ago.
		w.candidates = append(w.candidates[i+1:], w.candidates[:i+1]...)
		return id, true
	}
	return "", false
}

// controllable reports whether a page or a read has shown a room of late.
func (w *Witnesses) controllable(now time.Time) bool {
	return now.Sub(w.shownAt) <= w.span() || w.found != "" && now.Sub(w.foundAt) <= w.span()
}

// void takes back the absences that came shortly before a control that was not found.
func (w *Witnesses) void(at time.Time) {
	w.distrusted, w.voided = true, at
	w.unanswered(at)
	since := at.Add(-controlVoids)
	for id, a := range w.gone {
		switch {
		case a.first.at.After(since):
			delete(w.gone, id)
		case a.last.at.After(since):
			w.gone[id] = absence{a.first, a.first}
		}
	}
}
