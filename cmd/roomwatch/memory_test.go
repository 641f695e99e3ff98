package main

import (
	"math"
	"runtime/debug"
	"slices"
	"testing"
)

func TestMemoryLimit(t *testing.T) {
	var set []int64
	m := &memoryLimit{set: func(n int64) int64 { set = append(set, n>>20); return 0 }}
	for _, rooms := range []int{0, 100, 9000, 10001, 15000, 1_000_000, 1_040_000, 100} {
		m.fit(rooms)
	}
	if want := []int64{36, 108, 36}; !slices.Equal(set, want) {
		t.Errorf("limits of %v MiB, want %v", set, want)
	}
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(64 << 20))
	newMemoryLimit().fit(1_000_000)
	if n := debug.SetMemoryLimit(-1); n != 64<<20 {
		t.Errorf("the operator's limit became %d", n)
	}
	debug.SetMemoryLimit(math.MaxInt64)
	newMemoryLimit().fit(1_000_000)
	if n := debug.SetMemoryLimit(-1); n>>20 != 108 {
		t.Errorf("the limit is %d", n)
	}
}
