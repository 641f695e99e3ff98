package main

import (
	"math"
	"runtime/debug"
	"runtime/metrics"
)

const (
	// roomBytes is what a room takes in memory: in the index of the state, and in
	// the set of what a sweep has seen.
	roomBytes = 76
	// otherBytes is what the rest takes, with room for garbage between two
	// collections.
	otherBytes = 30 << 20
	// outsideBytes is what the runtime takes beside the heap.
	outsideBytes = 8 << 20
)

// A memoryLimit asks the collector to run more often when there are very many
// rooms. By itself it waits until as much garbage lies about as is in use, and of
// a million rooms a hundred megabytes are in use. They are free of pointers, so
// that it costs little to look at them more often. With few rooms the limit is
// never reached and changes nothing.
//
// Whatever else there is in memory, room is left for garbage of a quarter of what
// is in use: a limit below that would keep the collector running all the time.
type memoryLimit struct {
	set   func(int64) int64 // [debug.SetMemoryLimit]
	inUse func() int64      // bytes, by the newest collection
	limit int64             // that was set last
}

// newMemoryLimit returns nil if GOMEMLIMIT has set a limit: the operator's counts.
// It does, too, if the server of NATS is in this process: it can take more than all
// rooms, and has uses for memory of its own.
func newMemoryLimit(embedded bool) *memoryLimit {
	if embedded || debug.SetMemoryLimit(-1) != math.MaxInt64 {
		return nil
	}
	return &memoryLimit{set: debug.SetMemoryLimit, inUse: liveHeap}
}

// fit sets the limit for a number of rooms, if it has changed by much since the last call.
func (m *memoryLimit) fit(rooms int) {
	if m == nil {
		return
	}
	inUse := m.inUse()
	limit := max(otherBytes+roomBytes*int64(rooms), outsideBytes+inUse+inUse/4)
	if max(limit, m.limit)-min(limit, m.limit) > m.limit/16 {
		m.limit = limit
		m.set(limit)
	}
}

func liveHeap() int64 {
	s := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(s)
	return int64(s[0].Value.Uint64())
}
