package main

import (
	"math"
	"runtime/debug"
	"slices"
	"testing"
)

func TestMemoryLimit(t *testing.T) {
	var set []int64
	var inUse int64 // MiB
	m := &memoryLimit{
		set:   func(n int64) int64 { set = append(set, n>>20); return 0 },
		inUse: func() int64 { return inUse << 20 },
	}
	for _, step := range []struct {
		rooms int
		inUse int64
	}{
		{0, 5}, {100, 12}, {9000, 12}, // as with none
		{1_000_000, 70}, {1_040_000, 75}, // of the rooms
		{1_000_000, 200}, {1_000_000, 205}, // of something else: there is still room for garbage
		{100, 5},
	} {
		inUse = step.inUse
		m.fit(step.rooms)
	}
	if want := []int64{30, 102, 258, 30}; !slices.Equal(set, want) {
		t.Errorf("limits of %v MiB, want %v", set, want)
	}
}

// The operator's own limit counts, and without one it is the runtime's that is set.
func TestMemoryLimitOfRuntime(t *testing.T) {
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(64 << 20))
	newMemoryLimit(false).fit(1_000_000)
	if n := debug.SetMemoryLimit(-1); n != 64<<20 {
		t.Errorf("the operator's limit became %d", n)
	}
	debug.SetMemoryLimit(math.MaxInt64)
	newMemoryLimit(false).fit(1_000_000)
	if n := debug.SetMemoryLimit(-1); n < 102<<20 || n == math.MaxInt64 {
		t.Errorf("the limit is %d", n)
	}
	if newMemoryLimit(true) != nil {
		t.Error("a limit although the server of NATS is in the process")
	}
	if liveHeap() <= 0 {
		t.Error("nothing is in use")
	}
}
