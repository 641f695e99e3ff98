package trail

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// archive moves all files of a trail away, and returns where.
func archive(t *testing.T, dir string) string {
	t.Helper()
	away := t.TempDir()
	files, err := Files(dir)
	must(t, err)
	for _, f := range files {
		must(t, os.Rename(f.Path, filepath.Join(away, filepath.Base(f.Path))))
	}
	return away
}

// A trail whose files were all moved away is continued only behind the line
// that an operator names, and the files of both places are one sound trail.
func TestContinue(t *testing.T) {
	dir := t.TempDir()
	w := mustOpen(t, Options{Dir: dir, MaxFileBytes: 2500})
	must(t, w.Follow(Position{Name: "LIVE", Created: noon}, noon, ""))
	must(t, w.Append(noon, messages(1, 10, noon)))
	id := w.ID()
	must(t, w.Close())
	away := archive(t, dir)
	old, _ := check(t, Check{Dir: away})
	last := Place{old.Last, old.Hash}
	for name, c := range map[string]*Place{"no word": nil, "a line before the last": {last.Line - 1, last.Hash}, "another hash": {last.Line, noHash}} {
		if _, err := Open(Options{Dir: dir, Continue: c}); !errors.Is(err, ErrBroken) || !strings.Contains(err.Error(), "roomaudit verify") {
			t.Errorf("%s: %v", name, err)
		}
	}
	w = mustOpen(t, Options{Dir: dir, MaxFileBytes: 2500, Continue: &last})
	if w.ID() != id || w.Position().Last != 10 {
		t.Errorf("it is trail %s at message %d", w.ID(), w.Position().Last)
	}
	must(t, w.Append(noon, messages(11, 14, noon)))
	must(t, w.Close())
	must(t, mustOpen(t, Options{Dir: dir, Continue: &last}).Close()) // it stands in a unit file
	if _, err := Open(Options{Dir: dir, Continue: &Place{7, noHash}}); !errors.Is(err, ErrBroken) {
		t.Errorf("another word, and files: %v", err)
	}
	s, faults := check(t, Check{Dir: dir, First: old.Files + 1})
	if len(faults) > 0 || len(s.Notes) != 1 || !strings.Contains(s.Notes[0].Text, "moved away") {
		t.Errorf("faults %q, notes %v", faults, s.Notes)
	}
	files, err := Files(away)
	must(t, err)
	for _, f := range files {
		must(t, os.Rename(f.Path, filepath.Join(dir, filepath.Base(f.Path))))
	}
	// The newest file of the archive was open when it was moved, so it has no end; but
	// its last line is the one that the next file follows.
	wantMessages(t, dir, 14)
}

// After a crash the label is that of the beginning of the newest file. What may
// be on record twice then is said.
func TestContinueAfterCrash(t *testing.T) {
	dir := t.TempDir()
	w := mustOpen(t, Options{Dir: dir})
	must(t, w.Append(noon, messages(1, 5, noon)))
	line, hash := w.Lines()
	must(t, w.file.Close())
	must(t, w.lock.Unlock())
	archive(t, dir)
	w = mustOpen(t, Options{Dir: dir, Continue: &Place{line, hash}})
	if last := w.Position().Last; last != 0 {
		t.Errorf("it goes on at message %d", last)
	}
	must(t, w.Append(noon, messages(1, 6, noon)))
	must(t, w.Close())
	s, faults := check(t, Check{Dir: dir, First: 2})
	if len(faults) > 0 || len(s.Notes) != 1 || !strings.Contains(s.Notes[0].Text, "behind message 0 may be on record twice") {
		t.Errorf("faults %q, notes %v", faults, s.Notes)
	}
}

// The newest files were taken away, and others are there: that is on record.
func TestNewestFileMissing(t *testing.T) {
	f := newForger(t)
	must(t, os.Remove(f.files[3].Path))
	w := mustOpen(t, Options{Dir: f.dir})
	must(t, w.Append(noon.Add(time.Minute), messages(31, 31, noon)))
	must(t, w.Close())
	s, faults := check(t, Check{Dir: f.dir})
	if len(faults) > 0 || len(s.Notes) != 1 || !strings.Contains(s.Notes[0].Text, "file 4, which had line 39, was begun") {
		t.Errorf("faults %q, notes %v", faults, s.Notes)
	}
}

// What is missing at the end of a trail is on record also if processes ended before
// they had anything else to record.
func TestMissingEndOutlivesStops(t *testing.T) {
	for name, tt := range map[string]struct {
		steal  func(f forger)
		end    func(w *Writer) error // of a process that records nothing
		reason string
	}{
		"the newest file":            {func(f forger) { must(f.t, os.Remove(f.files[3].Path)) }, (*Writer).Close, "file 4, which had line 39, was begun"},
		"the newest file, and seal":  {func(f forger) { must(f.t, os.Remove(f.files[3].Path)) }, (*Writer).Seal, "file 4, which had line 39, was begun"},
		"lines of the newest file":   {stealLine, (*Writer).Close, "file 4 had line 39, and ended with line 38"},
		"lines of it, and a seal":    {stealLine, (*Writer).Seal, "file 4 had line 39, and ended with line 38"},
		"the end of the file before": {stealEnd, (*Writer).Close, "file 4, which had line 39, was begun"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newForger(t)
			tt.steal(f)
			for range 3 {
				w := mustOpen(t, Options{Dir: f.dir})
				must(t, errors.Join(tt.end(w), w.Close()))
			}
			w := mustOpen(t, Options{Dir: f.dir})
			must(t, w.Append(noon.Add(time.Minute), messages(31, 32, noon)))
			must(t, w.Close())
			must(t, mustOpen(t, Options{Dir: f.dir}).Close())
			s, faults := check(t, Check{Dir: f.dir})
			if len(faults) > 0 || len(s.Notes) != 1 || !strings.Contains(s.Notes[0].Text, tt.reason) {
				t.Errorf("faults %q, notes %v", faults, s.Notes)
			}
		})
	}
}

// stealLine cuts the last line off the open file.
func stealLine(f forger) {
	f.rows(3, func(rows [][]byte) [][]byte { return rows[:len(rows)-1] })
}

// stealEnd takes the open file away, and the end of the one before, which lies there
// plain: the record continues in that one.
func stealEnd(f forger) {
	must(f.t, os.Remove(f.files[3].Path))
	f.rows(2, func(rows [][]byte) [][]byte { return rows[:len(rows)-1] })
	text := unpack(f.t, f.files[2])
	must(f.t, os.Remove(f.files[2].Path))
	must(f.t, os.WriteFile(strings.TrimSuffix(f.files[2].Path, ".gz"), text, 0o600))
}

// That lines may be on record twice is said also if the first process behind an
// archive ended before it had anything to record.
func TestContinueOutlivesStops(t *testing.T) {
	dir := t.TempDir()
	w := mustOpen(t, Options{Dir: dir})
	must(t, w.Append(noon, messages(1, 5, noon)))
	line, hash := w.Lines()
	must(t, errors.Join(w.file.Close(), w.lock.Unlock()))
	archive(t, dir)
	last := &Place{line, hash}
	must(t, mustOpen(t, Options{Dir: dir, Continue: last}).Close())
	w = mustOpen(t, Options{Dir: dir, Continue: last})
	must(t, w.Append(noon, messages(1, 6, noon)))
	must(t, w.Close())
	if s, faults := check(t, Check{Dir: dir, First: 2}); len(faults) > 0 || len(s.Notes) != 1 || !strings.Contains(s.Notes[0].Text, "may be on record twice") {
		t.Errorf("faults %q, notes %v", faults, s.Notes)
	}
}

// The word of an operator stays in a unit file when the first files behind the
// archive were removed for their age.
func TestContinueWithKeep(t *testing.T) {
	dir := t.TempDir()
	w := mustOpen(t, Options{Dir: dir})
	days(t, w, 1, 2)
	line, hash := w.Lines()
	must(t, w.Close())
	archive(t, dir)
	o := Options{Dir: dir, Keep: 2 * dayLong, Continue: &Place{line, hash}}
	w = mustOpen(t, o)
	days(t, w, 3, 8)
	must(t, w.RemoveOld(noon.Add(8*dayLong)))
	must(t, w.Close())
	if first, _ := numbers(t, dir); first < 4 {
		t.Fatalf("file %d is the first: nothing was removed", first)
	}
	must(t, mustOpen(t, o).Close())
}

// A label that was spoiled is named; without it a trail is found by its files.
func TestLabelSpoiled(t *testing.T) {
	dir := t.TempDir()
	w := mustOpen(t, Options{Dir: dir})
	must(t, w.Append(noon, messages(1, 1, noon)))
	must(t, w.Close())
	path := filepath.Join(dir, labelName)
	must(t, os.WriteFile(path, []byte("{"), 0o600))
	if _, err := Open(Options{Dir: dir}); !errors.Is(err, ErrBroken) || !strings.Contains(err.Error(), path) {
		t.Errorf("spoiled: %v", err)
	}
	must(t, os.Remove(path))
	again := mustOpen(t, Options{Dir: dir})
	if again.ID() != w.ID() {
		t.Errorf("trail %s is %s without its label", w.ID(), again.ID())
	}
}

// Files that are begun anew were not copied, also if some of their numbers were.
func TestCopiedFilesMissing(t *testing.T) {
	f := newForger(t)
	w := mustOpen(t, Options{Dir: f.dir})
	for range 3 {
		file, last, found, err := w.NextCopy(t.Context())
		if must(t, err); !found {
			t.Fatal("nothing is to be copied")
		}
		must(t, w.RecordCopy(noon, file, last))
	}
	must(t, w.Close())
	for _, file := range f.files[1:] {
		must(t, os.Remove(file.Path))
	}
	w = mustOpen(t, Options{Dir: f.dir})
	must(t, w.Append(noon.Add(time.Minute), messages(31, 32, noon)))
	must(t, w.Seal())
	must(t, w.Close())
	w = mustOpen(t, Options{Dir: f.dir})
	if file, _, found, err := w.NextCopy(t.Context()); err != nil || !found || file.Number != 2 {
		t.Errorf("file %d is copied next, %v", file.Number, err)
	}
	must(t, w.Close())
}
