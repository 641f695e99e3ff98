package diff

import (
	"maps"
	"time"
)

// A newerLife is a later life of a RoomID than the known one, until it is believed.
type newerLife struct {
	createTime  int64
	listed      bool      // a page has shown it
	told        time.Time // when it was shown last
	first, last time.Time // when reads that show it were answered; zero: none has been
	read        Read      // the newest of them
}

// believed reports whether a read shows the life, and so does a page or an earlier read.
func (n newerLife) believed() bool {
	return !n.last.IsZero() && (n.listed || n.last.Sub(n.first) >= minWitnessSpan)
}

// List notes that a page shows a later life of a room than the known one.
func (w *Witnesses) List(r Room, at time.Time) {
	n := w.newer[r.RoomID]
	if n.createTime > r.CreateTime {
		return
	}
	if n.createTime < r.CreateTime {
		n = newerLife{createTime: r.CreateTime}
	}
	n.listed, n.told = true, at
	w.newer[r.RoomID] = n
}

// Replace notes that a read shows a later life of a room than the known one. It is
// believed as soon as a page shows it, too, or a second read does. It returns when
// the room is to be read again, if [Witnesses.Proved] does not tell its end now.
func (w *Witnesses) Replace(r Read) (again time.Time) {
	n := w.newer[r.RoomID]
	if n.createTime != r.Room.CreateTime {
		n = newerLife{createTime: r.Room.CreateTime}
	}
	if n.first.IsZero() {
		n.first, n.last = r.At, r.At
	}
	if r.Sent.Sub(n.first) >= minWitnessSpan {
		n.last = r.At
	}
	n.told, n.read = r.At, r
	w.newer[r.RoomID] = n
	return r.At.Add(minWitnessSpan)
}

// Replacing reports whether a newer life of the room waits for its proof.
func (w *Witnesses) Replacing(id string) bool {
	_, ok := w.newer[id]
	return ok
}

// contradict takes back a newer life of a room that is shown in an older one, or not
// at all (createTime 0).
func (w *Witnesses) contradict(id string, createTime int64) {
	if n, ok := w.newer[id]; ok && createTime < n.createTime {
		delete(w.newer, id)
	}
}

// forgetNewer forgets the newer lives that nothing has shown for long.
func (w *Witnesses) forgetNewer(now time.Time) {
	maps.DeleteFunc(w.newer, func(_ string, n newerLife) bool { return now.Sub(n.told) > failedFor })
}
