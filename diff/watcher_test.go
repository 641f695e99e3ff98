package diff

import (
	"testing"
	"time"
)

// A watcher drives See and Judge as the package state does, with a map in the
// place of the file.
type watcher struct {
	policy  Policy
	rooms   map[string]Known
	history History
	sweep   uint64
	pages   int
	seen    *Seen
	begin   time.Time // of the sweep that is going on; zero: the first page sets it
	ends    map[string]RecentEnd
	events  []Event

	forgetful bool // ignores how often sweeps miss rooms: what a fixed AbsentSweeps is
	trusting  bool // takes the list for calm until it has shown not to be
	hasty     bool // lets sweeps a moment apart be as many witnesses: what the count of sweeps proves by itself
}

func newWatcher(p Policy) *watcher {
	return &watcher{policy: p, rooms: make(map[string]Known), sweep: 1, seen: NewSeen(), ends: make(map[string]RecentEnd)}
}

// page takes one page of the sweep that is going on.
func (m *watcher) page(at time.Time, rooms ...Room) {
	m.pages++
	if m.begin.IsZero() {
		m.begin = at
	}
	l := Look{At: at, Wall: at, Sweep: m.sweep, Begin: m.begin, Baseline: m.history.Complete == 0, LastComplete: m.history.Begin}
	for _, r := range rooms {
		m.seen.Add(r.Key())
		var known *Known
		if k, ok := m.rooms[r.RoomID]; ok {
			known = &k
		}
		s := m.policy.See(known, m.ends[r.RoomID], r, l, m.history.Complete)
		if s.Changed {
			m.rooms[r.RoomID] = s.Known
		}
		m.history.Misses += float64(s.Missed)
		m.events = append(m.events, s.Events...)
	}
}

// end ends the sweep and begins the next one.
func (m *watcher) end(begin, end time.Time, complete bool) (v Verdict) {
	seen, sweep, pages := m.seen, m.sweep, m.pages
	m.seen, m.sweep, m.pages, m.begin = NewSeen(), m.sweep+1, 0, time.Time{}
	if !complete {
		return v
	}
	t := Tally{Known: len(m.rooms)}
	for _, k := range m.rooms {
		if !seen.Has(k.Room.Key()) {
			t.Unseen++
		}
	}
	before := m.history
	s := Sweep{Begin: begin, End: end, Complete: true, Pages: pages, Seen: seen}
	if before.Complete > 0 {
		s.Apart = begin.Sub(before.Begin)
	}
	v = m.policy.Judge(before, s, t)
	switch {
	case m.forgetful:
		v.Need = uint64(m.policy.AbsentSweeps)
	case m.trusting:
		calm := v.History
		calm.Pages = 1
		v.Need = m.policy.need(calm.MissRate())
	}
	if m.hasty {
		v.Span = 0
	}
	for id, k := range m.rooms {
		if seen.Has(k.Room.Key()) {
			continue
		}
		if k.Missing.First == 0 {
			k.Missing = v.Mark(k, before)
		}
		m.rooms[id] = k
		if v.Ends(k.Missing) {
			m.events = append(m.events, m.policy.End(k, end, k.Missing.LastSeen, sweep)...)
			m.ends[id] = v.RecentEnd(k, end, sweep)
			delete(m.rooms, id)
		}
	}
	m.history = v.History
	return v
}

// witness ends a room in the middle of a sweep, as one beside the sweeps may.
func (m *watcher) witness(at time.Time, id string) {
	k := m.rooms[id]
	m.events = append(m.events, m.policy.End(k, at, k.SeenAt, m.sweep)...)
	m.ends[id] = RecentEnd{CreateTime: k.Room.CreateTime, Told: later(at, m.begin), Sweep: m.sweep}
	delete(m.rooms, id)
}

// take returns the events since it was called last.
func (m *watcher) take() []Event {
	e := m.events
	m.events = nil
	return e
}

// second is a moment of the tests: so many seconds after noon.
func second(n float64) time.Time {
	return time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC).Add(time.Duration(n * float64(time.Second)))
}

func only(t *testing.T, events []Event) Event {
	t.Helper()
	if len(events) != 1 {
		t.Fatalf("%d events, want one: %v", len(events), events)
	}
	return events[0]
}
