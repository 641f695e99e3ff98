package diff

import (
	"maps"
	"time"
)

// A Callback is what the vendor's server has called to say of a room. What is in it
// is not signed, and it may come late, twice, or not at all: it proposes a read of the
// room and, where it says that the room was destroyed, is a witness of that beside the read.
type Callback struct {
	RoomID string
	Kind   CallbackKind
	At     time.Time // when it came, with a reading of the monotonic clock
	Signed int64     // Unix seconds by the service's clock: when it was sent. No life that began then or later is meant
}

// A CallbackKind is what has happened to a room.
type CallbackKind int

// The kinds of callbacks.
const (
	Updated CallbackKind = iota
	Created
	Destroyed
)

const (
	mostTold = 10_000
	toldFor  = time.Minute // for which a callback is remembered
)

// askedAgain returns when a room is read again whose reads contradict a callback: the
// replicas of the service lag behind. The times count from the callback.
func askedAgain() [3]time.Duration {
	return [...]time.Duration{time.Second, 3 * time.Second, 10 * time.Second}
}

// A notice is a callback that reads have not confirmed.
type notice struct {
	kind   CallbackKind
	at     time.Time
	signed int64
	seen   bool // something has shown the room since
}

// Tell notes what a callback says. One that was sent before another of its room says
// nothing new, and an update says less than the begin or the end of a room. One that comes
// twice is contradicted by what has contradicted the first.
func (w *Witnesses) Tell(c Callback) {
	old, ok := w.notice(c.RoomID, c.At)
	switch {
	case !ok && len(w.told) >= mostTold:
		return
	case ok && (c.Signed < old.signed || c.Kind == Updated && old.kind != Updated):
		return
	}
	w.told[c.RoomID] = notice{kind: c.Kind, at: c.At, signed: c.Signed, seen: ok && c.Kind == old.kind && old.seen}
}

// notice returns what a callback has said of a room of late.
func (w *Witnesses) notice(id string, now time.Time) (n notice, ok bool) {
	n, ok = w.told[id]
	return n, ok && now.Sub(n.at) <= toldFor
}

// callback holds a read against what a callback has said of its room. Where they
// disagree, it returns when the room is to be read again.
func (w *Witnesses) callback(r Read) (again time.Time, ok bool) {
	n, ok := w.notice(r.RoomID, r.At)
	if !ok {
		return time.Time{}, false
	}
	if gone := r.Outcome == Gone; r.Sent.Before(n.at) || (n.kind == Destroyed) != gone && n.kind != Updated {
		for _, d := range askedAgain() {
			if again = n.at.Add(d); again.After(r.At) {
				return again, true
			}
		}
	}
	if n.kind != Destroyed {
		delete(w.told, r.RoomID) // that of an end is a witness, until it is used
	}
	return time.Time{}, false
}

// destroyed returns the first witness of an absence that a read tells: a callback that
// came before it and that nothing contradicts, or else the read.
func (w *Witnesses) destroyed(r Read, read witness) witness {
	n, ok := w.notice(r.RoomID, r.At)
	if !ok || n.kind != Destroyed || n.seen || !r.Sent.After(n.at) {
		return read
	}
	delete(w.told, r.RoomID)
	return witness{at: n.at, callback: true, signed: n.signed}
}

// Disbelieve takes back what a callback has said against a room: it was sent before the
// known life began, and means an earlier one. The read that followed it stays a
// witness. It returns when the room is to be read again, or zero.
func (w *Witnesses) Disbelieve(id string) (again time.Time) {
	a, ok := w.gone[id]
	if !ok {
		return time.Time{} // a page has shown it meanwhile
	}
	a.first = a.last
	w.gone[id] = a
	return a.last.at.Add(minWitnessSpan)
}

// leaving reports whether the room is about to end, as far as anybody has said: it is not
// a room for a control then.
func (w *Witnesses) leaving(id string, now time.Time) bool {
	_, gone := w.gone[id]
	n, told := w.notice(id, now)
	return gone || told && n.kind == Destroyed && !n.seen
}

// forgetTold forgets the callbacks that are too old to be of use.
func (w *Witnesses) forgetTold(now time.Time) {
	maps.DeleteFunc(w.told, func(_ string, n notice) bool { return now.Sub(n.at) > toldFor })
}
