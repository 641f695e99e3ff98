package main

import (
	"math"
	"runtime/debug"
)

const (
	// roomBytes is what a room takes in memory: in the index of the state, and in
	// the sets of what this sweep and the one before have seen.
	roomBytes = 76
	// otherBytes is what the rest takes, with room for garbage between two
	// collections. The collector never has less room than this to work in.
	otherBytes = 36 << 20
)

// A memoryLimit asks the collector to run more often when there are very many
// rooms. By itself it waits until as much garbage lies about as is in use, and of
// a million rooms a hundred megabytes are in use. They are free of pointers, so
// that it costs little to look at them more often. With few rooms the limit is
// never reached and changes nothing.
type memoryLimit struct {
	set   func(int64) int64 // [debug.SetMemoryLimit]
	rooms int               // for which it was set last
}

// newMemoryLimit returns nil if GOMEMLIMIT has set a limit: the operator's counts.
func newMemoryLimit() *memoryLimit {
	if debug.SetMemoryLimit(-1) != math.MaxInt64 {
		return nil
	}
	return &memoryLimit{set: debug.SetMemoryLimit}
}

// fit sets the limit for a number of rooms, if it has changed by much since the last call.
func (m *memoryLimit) fit(rooms int) {
	if m == nil || max(rooms, m.rooms)-min(rooms, m.rooms) <= 10000+m.rooms/20 {
		return
	}
	m.rooms = rooms
	m.set(otherBytes + roomBytes*int64(rooms))
}
