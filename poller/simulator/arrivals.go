package simulator

import (
	"slices"
	"time"
)

// arrivals counts requests by the second.
type arrivals struct {
	last  []time.Time // those of the last second, oldest first
	total int
	most  int // the longest that last ever was
}

// add counts a request and returns how many the second that ends with it holds.
// Of a second, one end is open: a request exactly one second ago is outside.
func (a *arrivals) add(now time.Time) int {
	old := 0
	for old < len(a.last) && now.Sub(a.last[old]) >= time.Second {
		old++
	}
	a.last = append(slices.Delete(a.last, 0, old), now)
	a.total++
	a.most = max(a.most, len(a.last))
	return len(a.last)
}
