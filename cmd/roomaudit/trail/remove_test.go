package trail

import (
	"crypto/ed25519"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const dayLong = 24 * time.Hour

// days records a message a day, sealed at its end.
func days(t *testing.T, w *Writer, from, to int) {
	t.Helper()
	for n := from; n <= to; n++ {
		at := noon.Add(time.Duration(n) * dayLong)
		must(t, w.Append(at, messages(uint64(n), uint64(n), at)))
	}
}

func numbers(t *testing.T, dir string) (first, last int) {
	t.Helper()
	files, err := Files(dir)
	must(t, err)
	return files[0].Number, files[len(files)-1].Number
}

// What was removed for its age is on record, and verify accepts that and no more.
func TestRemoveOld(t *testing.T) {
	dir := t.TempDir()
	o := Options{Dir: dir, Keep: 3 * dayLong}
	w := mustOpen(t, o)
	days(t, w, 1, 8)
	must(t, Index(t.Context(), dir))
	for range 2 {
		must(t, w.RemoveOld(noon.Add(8*dayLong)))
	}
	if first, last := numbers(t, dir); first != 5 || last < 8 {
		t.Errorf("files %d to %d are left", first, last)
	}
	days(t, w, 9, 10)
	must(t, w.Close())
	w = mustOpen(t, o)
	must(t, w.RemoveOld(noon.Add(10*dayLong)))
	must(t, w.Close())
	s, faults := check(t, Check{Dir: dir})
	if len(faults) > 0 || len(s.Notes) != 2 || !strings.Contains(s.Notes[1].Text, "were removed: older than 72h0m0s") {
		t.Errorf("faults %q, notes %v", faults, s.Notes)
	}
	if indexes, _ := filepath.Glob(filepath.Join(dir, "*"+indexed)); len(indexes) != 1 {
		t.Errorf("indexes %q are left", indexes)
	}
	files, err := Files(dir)
	must(t, err)
	must(t, os.Remove(files[0].Path))
	if _, faults := check(t, Check{Dir: dir}); len(faults) != 1 || !strings.Contains(faults[0], "files 1 to 7 are missing") {
		t.Errorf("one more was taken away: %q", faults)
	}
}

// A recorder whose clock was long ago when it began a file does not remove it early:
// its messages are not old.
func TestRemoveOldBelievesNoWrongClock(t *testing.T) {
	dir := t.TempDir()
	w := mustOpen(t, Options{Dir: dir, Keep: 3 * dayLong})
	must(t, w.Follow(Position{Name: "LIVE", Created: noon}, noon, ""))
	long := time.Date(1970, 1, 1, 0, 0, 9, 0, time.UTC)
	must(t, w.Append(long, messages(1, 1, noon)))
	must(t, w.Append(noon, messages(2, 2, noon)))
	must(t, w.RemoveOld(noon))
	if first, _ := numbers(t, dir); first != 1 {
		t.Errorf("file %d is the first", first)
	}
	days(t, w, 3, 8) // the days 3 to 8
	must(t, w.RemoveOld(noon.Add(8*dayLong)))
	if first, _ := numbers(t, dir); first != 5 {
		t.Errorf("file %d is the first, want 5", first)
	}
	must(t, w.Close())

	// A message from the future keeps no file forever.
	dir = t.TempDir()
	w = mustOpen(t, Options{Dir: dir, Keep: 3 * dayLong})
	must(t, w.Append(noon, messages(1, 1, noon.Add(1000*dayLong))))
	days(t, w, 2, 8)
	must(t, w.RemoveOld(noon.Add(8*dayLong)))
	if first, _ := numbers(t, dir); first != 5 {
		t.Errorf("file %d is the first, want 5", first)
	}

	// One without a message is as old as the file behind it is begun.
	dir = t.TempDir()
	w = mustOpen(t, Options{Dir: dir, Keep: 3 * dayLong})
	must(t, w.Follow(Position{Name: "LIVE", Created: noon}, long, ""))
	must(t, w.Follow(Position{Name: "LIVE", Created: noon}, long, "the stream was recreated"))
	must(t, w.Append(noon, messages(1, 1, noon)))
	must(t, w.RemoveOld(noon))
	if first, _ := numbers(t, dir); first != 1 {
		t.Errorf("file %d is the first, and 1 had no message", first)
	}
}

// With keys a record of what was removed counts only if a signature covers it; the
// writer signs it before it removes anything.
func TestRemovalIsSigned(t *testing.T) {
	dir := t.TempDir()
	_, key, err := ed25519.GenerateKey(nil)
	must(t, err)
	w := mustOpen(t, Options{Dir: dir, Keep: 3 * dayLong, Key: signedBy(key)})
	days(t, w, 1, 8)
	must(t, w.RemoveOld(noon.Add(8*dayLong)))
	if _, faults := check(t, Check{Dir: dir, Keys: keys(key)}); len(faults) > 0 {
		t.Errorf("just removed: %q", faults)
	}
	must(t, w.Append(noon.Add(8*dayLong), messages(9, 9, noon.Add(8*dayLong))))
	must(t, w.Close())
	// A forger removes one more, and says so behind the last signature.
	files, err := Files(dir)
	must(t, err)
	second, err := files[1].begin()
	must(t, err)
	must(t, os.Remove(files[0].Path))
	w = mustOpen(t, Options{Dir: dir})
	must(t, w.write([]Line{{Kind: Removed, File: files[0].Number, To: second.Line - 1, Last: second.Previous, Reason: "older than 72h0m0s"}}))
	must(t, w.Close())
	if _, faults := check(t, Check{Dir: dir}); len(faults) > 0 {
		t.Errorf("without keys: %q", faults)
	}
	if _, faults := check(t, Check{Dir: dir, Keys: keys(key)}); len(faults) != 1 || !strings.Contains(faults[0], "files 1 to 5 are missing, and no signature covers the line in file") {
		t.Errorf("forged: %q", faults)
	}
}

// Files before the first one were moved away, and some behind them removed for their age.
func TestRemoveOldBehindArchive(t *testing.T) {
	dir := t.TempDir()
	w := mustOpen(t, Options{Dir: dir, Keep: 3 * dayLong})
	days(t, w, 1, 8)
	files, err := Files(dir)
	must(t, err)
	for _, f := range files[:2] {
		must(t, os.Remove(f.Path))
	}
	if _, faults := check(t, Check{Dir: dir, First: 3}); len(faults) > 0 {
		t.Fatal(faults)
	}
	must(t, w.RemoveOld(noon.Add(8*dayLong)))
	must(t, w.Close())
	if _, faults := check(t, Check{Dir: dir, First: 3}); len(faults) > 0 {
		t.Errorf("removed: %q", faults)
	}
	files, err = Files(dir)
	must(t, err)
	must(t, os.Remove(files[0].Path))
	if _, faults := check(t, Check{Dir: dir, First: 3}); len(faults) != 1 || !strings.Contains(faults[0], "files 3 to 5 are missing") {
		t.Errorf("one more was taken away: %q", faults)
	}
}

// A clock that is set forth removes nothing alone, nor does a message from the
// future; the newest file is never removed.
func TestRemoveOldNeedsBothClocks(t *testing.T) {
	dir := t.TempDir()
	w := mustOpen(t, Options{Dir: dir, Keep: 3 * dayLong})
	days(t, w, 1, 4)
	must(t, w.RemoveOld(noon.Add(1000*dayLong)))
	must(t, w.Append(noon.Add(4*dayLong), messages(5, 5, noon.Add(1000*dayLong))))
	must(t, w.RemoveOld(noon.Add(4*dayLong)))
	if first, _ := numbers(t, dir); first != 1 {
		t.Errorf("file %d is the first", first)
	}
	must(t, w.RemoveOld(noon.Add(1000*dayLong)))
	if first, last := numbers(t, dir); first < 4 || last < first {
		t.Errorf("files %d to %d are left", first, last)
	}
	must(t, w.Append(noon.Add(1000*dayLong), messages(6, 6, noon.Add(1000*dayLong))))
	must(t, w.Close())
	if _, faults := check(t, Check{Dir: dir}); len(faults) > 0 {
		t.Error(faults)
	}
}

// Power is cut at every step: what is gone is on record, and the next start
// removes the rest.
func TestPowerCutWhileRemoving(t *testing.T) {
	cut := errors.New("power cut")
	for step := 1; ; step++ {
		dir := t.TempDir()
		w := mustOpen(t, Options{Dir: dir})
		days(t, w, 1, 6)
		must(t, w.Close())
		n := 0
		w, err := Open(Options{Dir: dir, Keep: dayLong, Refuse: func(kind, _ string) error {
			if n++; n >= step {
				return cut
			}
			return undelayed(kind)
		}})
		if err == nil {
			err = w.RemoveOld(noon.Add(6 * dayLong))
			_ = w.Close()
		}
		if _, faults := check(t, Check{Dir: dir}); len(faults) > 0 {
			t.Fatalf("step %d: %q", step, faults)
		}
		w = mustOpen(t, Options{Dir: dir, Keep: dayLong})
		must(t, w.RemoveOld(noon.Add(6*dayLong)))
		must(t, w.Close())
		if _, faults := check(t, Check{Dir: dir}); len(faults) > 0 {
			t.Fatalf("step %d, again: %q", step, faults)
		}
		if first, _ := numbers(t, dir); first != 5 {
			t.Fatalf("step %d: file %d is the first", step, first)
		}
		if err == nil {
			if step < 10 {
				t.Errorf("only %d steps", step)
			}
			break
		}
	}
}
