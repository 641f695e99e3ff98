package trail

import (
	"slices"
	"testing"
	"time"
)

// A day is closed by the clock of the recorder. What a message claims changes no
// file, and a clock that is set forth and back leaves no file open for days.
func TestDayIsTheRecorders(t *testing.T) {
	const day = 24 * time.Hour
	for _, tt := range []struct {
		name   string
		clock  []time.Duration // of the recorder, at each message
		stored []time.Duration // as each message claims
		days   []string        // of the files
	}{
		{"in step", []time.Duration{0, 0, day}, []time.Duration{0, 0, day}, []string{"2026-11-23", "2026-11-24"}},
		{"a message from the future", []time.Duration{0, 0, 0, day, 2 * day}, []time.Duration{0, 1000 * day, 0, day, 2 * day}, []string{"2026-11-23", "2026-11-24", "2026-11-25"}},
		{"a message of long ago", []time.Duration{0, 0, 0}, []time.Duration{0, -1000 * day, 0}, []string{"2026-11-23"}},
		{"set forth and back", []time.Duration{0, 1000 * day, 0, day}, []time.Duration{0, 0, 0, day}, []string{"2026-11-23", "2029-08-19", "2026-11-23", "2026-11-24"}},
		{"set back and forth", []time.Duration{0, -2 * day, -2 * day, 0}, []time.Duration{0, 0, 0, 0}, []string{"2026-11-23", "2026-11-21", "2026-11-23"}},
		{"set back within the day", []time.Duration{0, -time.Hour, 0}, []time.Duration{0, 0, 0}, []string{"2026-11-23"}},
	} {
		for _, restarts := range []bool{false, true} {
			dir := t.TempDir()
			w := mustOpen(t, Options{Dir: dir})
			for i, clock := range tt.clock {
				if restarts {
					must(t, w.Close())
					w = mustOpen(t, Options{Dir: dir})
				}
				must(t, w.Append(noon.Add(clock), messages(uint64(i+1), uint64(i+1), noon.Add(tt.stored[i]))))
			}
			must(t, w.Close())
			wantMessages(t, dir, uint64(len(tt.clock)))
			files, err := Files(dir)
			must(t, err)
			var days []string
			for i, f := range files {
				days = append(days, f.Day)
				if f.Compressed != (i < len(files)-1) {
					t.Errorf("%s: %s: sealed: %t", tt.name, f.Path, f.Compressed)
				}
			}
			if !slices.Equal(days, tt.days) {
				t.Errorf("%s (with restarts: %t): files of %q, want %q", tt.name, restarts, days, tt.days)
			}
		}
	}
}

// While nothing comes, too, only the clock decides.
func TestTickAfterMessageFromTheFuture(t *testing.T) {
	w := mustOpen(t, Options{Dir: t.TempDir()})
	must(t, w.Append(noon, messages(1, 1, noon.Add(1000*24*time.Hour))))
	must(t, w.Tick(noon.Add(time.Hour)))
	if w.file == nil {
		t.Error("sealed within the day")
	}
	must(t, w.Tick(noon.Add(24*time.Hour)))
	if w.file != nil {
		t.Error("not sealed on the next day")
	}
}
