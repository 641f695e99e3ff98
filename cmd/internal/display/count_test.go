package display_test

import (
	"testing"

	"roomwatch/cmd/internal/display"
)

func TestCount(t *testing.T) {
	for _, tt := range []struct{ got, want string }{
		{display.Count(0, "event"), "0 events"},
		{display.Count(1, "event"), "1 event"},
		{display.Count(uint64(1_234_567), "event"), "1,234,567 events"},
		{display.Count(999, "view"), "999 views"},
		{display.Count(int64(-1000), "view"), "-1,000 views"},
		{display.Count(1, "event waits", "events wait"), "1 event waits"},
		{display.Count(2, "event waits", "events wait"), "2 events wait"},
	} {
		if tt.got != tt.want {
			t.Errorf("%q, want %q", tt.got, tt.want)
		}
	}
}
