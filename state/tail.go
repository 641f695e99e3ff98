package state

import (
	"slices"

	"roomwatch/diff"
)

// tailRows is how many events a [tail] keeps before it takes no more.
const tailRows = 8000

// A tail keeps committed events in memory, as they stand in the outbox: what is
// published soon after its commit need not be read from the file again. It is a
// run without a missing one, and need not be the newest one: when it is full it lets new
// events go by until what it has is stored, so that a publisher that has fallen
// behind finds in it what it needs next. It is not safe for concurrent use.
type tail struct {
	parts [][]diff.Event // none is empty
	rows  int
}

// add takes committed events, if they follow those that it has and there is room.
// A commit that had an error and may have reached the disk leaves a gap.
func (t *tail) add(events []diff.Event) {
	if t.rows > 0 && (t.rows >= tailRows || events[0].Seq != t.last()+1) {
		return
	}
	t.parts = append(t.parts, slices.Clone(events))
	t.rows += len(events)
}

// last returns the number of the last event; there must be one.
func (t *tail) last() uint64 {
	part := t.parts[len(t.parts)-1]
	return part[len(part)-1].Seq
}

// after returns at most limit events that follow seq, or nil if it has not the first of them.
func (t *tail) after(seq uint64, limit int) []diff.Event {
	if t.rows == 0 || seq+1 < t.parts[0][0].Seq || seq >= t.last() {
		return nil
	}
	events := make([]diff.Event, 0, min(uint64(limit), t.last()-seq))
	for _, part := range t.parts {
		if part[len(part)-1].Seq <= seq {
			continue
		}
		if part[0].Seq <= seq {
			part = part[seq+1-part[0].Seq:]
		}
		events = append(events, part[:min(len(part), limit-len(events))]...)
	}
	return events
}

// drop lets the events up to seq go, as far as they stand by themselves.
func (t *tail) drop(seq uint64) {
	n := 0
	for n < len(t.parts) && t.parts[n][len(t.parts[n])-1].Seq <= seq {
		t.rows -= len(t.parts[n])
		n++
	}
	t.parts = slices.Delete(t.parts, 0, n)
}

func (t *tail) clear() { *t = tail{} }
