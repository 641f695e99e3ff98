package display

import (
	"cmp"

	"github.com/dustin/go-humanize"
)

// Count writes a number of things: "1 event", "1,234 events". Where more than an "s"
// differs, many is the second form: Count(n, "event waits", "events wait").
func Count[N int | int64 | uint64](n N, one string, many ...string) string {
	if n == 1 {
		return "1 " + one
	}
	return humanize.Comma(int64(n)) + " " + cmp.Or(append(many, one+"s")...)
}
