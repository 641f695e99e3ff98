package state

import (
	"cmp"
	"context"
	"slices"
	"time"

	"go.etcd.io/bbolt"

	"roomwatch/diff"
)

const (
	// hiddenEvery is how often hidden rooms are proposed, and the least time between
	// two reads of one.
	hiddenEvery = 5 * time.Second
	// hiddenAtOnce is how many are proposed then: up to 1,000 hidden rooms are read
	// once a minute.
	hiddenAtOnce = 85
)

// hiddenRooms is when each hidden room was proposed last. It is what the file knows,
// but for RoomIDs that are too many after a write that did not succeed: they cost a
// read each.
type hiddenRooms struct {
	proposed map[string]time.Time
}

func (h *hiddenRooms) load(s *Store) error {
	if s.counters().Hidden == 0 {
		return nil
	}
	return s.walk(context.Background(), func(_ *bbolt.Tx, _ []byte, k diff.Known) error {
		if k.Room.Hidden {
			h.add(k.Room.RoomID)
		}
		return nil
	})
}

func (h *hiddenRooms) add(id string) {
	if h.proposed == nil {
		h.proposed = make(map[string]time.Time)
	}
	if _, ok := h.proposed[id]; !ok {
		h.proposed[id] = time.Time{}
	}
}

func (h *hiddenRooms) remove(id string) { delete(h.proposed, id) }

func (h *hiddenRooms) set(id string, hidden bool) {
	if hidden {
		h.add(id)
		return
	}
	h.remove(id)
}

// due returns the rooms that are to be proposed now, those whose turn was longest ago.
func (h *hiddenRooms) due(now time.Time) []string {
	if len(h.proposed) == 0 {
		return nil
	}
	ids := make([]string, 0, len(h.proposed))
	for id, last := range h.proposed {
		if !isRecent(last, now, hiddenEvery-hiddenEvery/10) { // a ticker is not exact
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b string) int {
		return cmp.Or(h.proposed[a].Compare(h.proposed[b]), cmp.Compare(a, b))
	})
	ids = ids[:min(len(ids), hiddenAtOnce)]
	for _, id := range ids {
		h.proposed[id] = now
	}
	return ids
}

// askHidden proposes the hidden rooms whose turn it is.
func (s *Store) askHidden(now time.Time) {
	if s.reads.propose == nil {
		return
	}
	s.write.Lock()
	defer s.write.Unlock()
	for _, id := range s.hidden.due(now) {
		s.reads.ask(id, diff.HiddenRoom)
	}
}
