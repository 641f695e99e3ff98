package recent_test

import (
	"testing"

	"roomwatch/publisher/recent"
)

// The newest keys are remembered, each once, with their last values.
func TestMap(t *testing.T) {
	m := recent.New[int, string](3)
	for _, k := range []int{1, 2, 1, 3, 4, 5, 4} {
		m.Put(k, string(rune('a'+k)))
	}
	m.Put(5, "new")
	for k, want := range map[int]string{1: "", 2: "", 3: "d", 4: "e", 5: "new"} {
		if v, known := m.Get(k); v != want || known != (want != "") {
			t.Errorf("%d is %q, %t; want %q", k, v, known, want)
		}
	}
}

// However many are put, no more than the number are remembered.
func TestMapIsBounded(t *testing.T) {
	m := recent.New[int, int](10)
	for k := range 1000 {
		m.Put(k, k)
		known := 0
		for i := range k + 1 {
			if _, ok := m.Get(i); ok {
				known++
			}
		}
		if known != min(k+1, 10) {
			t.Fatalf("%d of %d are remembered", known, k+1)
		}
	}
}
