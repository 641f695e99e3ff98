package trail

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Into a file that was removed, or exchanged, while it is written nothing more is
// recorded: it would be acknowledged and lost.
func TestFileTakenAwayWhileWriting(t *testing.T) {
	for _, exchanged := range []bool{false, true} {
		dir := t.TempDir()
		w := mustOpen(t, Options{Dir: dir})
		must(t, w.Append(noon, messages(1, 5, noon)))
		text, err := os.ReadFile(w.path)
		must(t, err)
		must(t, os.Rename(w.path, filepath.Join(t.TempDir(), "away")))
		if exchanged {
			must(t, os.WriteFile(w.path, text, 0o600))
		}
		if err := w.Append(noon, messages(6, 6, noon)); !errors.Is(err, ErrBroken) || !strings.Contains(err.Error(), w.path) {
			t.Errorf("exchanged %t: %v", exchanged, err)
		}
		if err := w.Tick(noon); !errors.Is(err, ErrBroken) {
			t.Errorf("exchanged %t, while nothing comes: %v", exchanged, err)
		}
		must(t, w.Close())
		line, hash := w.Lines()
		w = mustOpen(t, Options{Dir: dir, Continue: place(exchanged, line, hash)})
		must(t, w.Append(noon, messages(w.Position().Last+1, 7, noon)))
		must(t, w.Close())
		if exchanged {
			wantMessages(t, dir, 7)
		} else if _, faults := check(t, Check{Dir: dir, First: 2}); len(faults) > 0 {
			t.Error(faults)
		}
	}
}

// place is the word of the operator, where the file is not there.
func place(there bool, line uint64, hash string) *Place {
	if there {
		return nil
	}
	return &Place{line, hash}
}

// A file that is compressed between the listing and the reading is read as it is then.
func TestReadWhileCompressed(t *testing.T) {
	dir := t.TempDir()
	w := mustOpen(t, Options{Dir: dir})
	must(t, w.Append(noon, messages(1, 5, noon)))
	files, err := Files(dir)
	must(t, err)
	must(t, w.Tick(noon.Add(24*time.Hour)))
	rows := 0
	if err := files[0].lines(func([]byte) error { rows++; return nil }); err != nil || rows != 7 {
		t.Errorf("%d rows, %v", rows, err)
	}
}

// A newest file that cannot be unpacked is named, and requires operator action.
func TestNewestFileBroken(t *testing.T) {
	dir := t.TempDir()
	w := mustOpen(t, Options{Dir: dir})
	must(t, w.Append(noon, messages(1, 5, noon)))
	must(t, w.Tick(noon.Add(24*time.Hour)))
	must(t, w.Close())
	files, err := Files(dir)
	must(t, err)
	for _, left := range []int{100, 0} {
		must(t, os.Truncate(files[0].Path, int64(left)))
		if _, err := Open(Options{Dir: dir}); !errors.Is(err, ErrBroken) || !strings.Contains(err.Error(), files[0].Path) {
			t.Errorf("%d bytes left: %v", left, err)
		}
	}
}

// Files of others in the directory are let be.
func TestFilesOfOthers(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"notes.jsonl", "notes.jsonl.gz"} {
		must(t, os.WriteFile(filepath.Join(dir, name), nil, 0o600))
	}
	mustOpen(t, Options{Dir: dir})
	if _, err := os.Stat(filepath.Join(dir, "notes.jsonl")); err != nil {
		t.Error(err)
	}
}
