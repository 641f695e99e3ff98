package state

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"roomwatch/diff"
)

// image copies the files of a directory as they are now: what a crash leaves.
func image(t *testing.T, dir string) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return to
}

// A crash at each step of a compaction leaves a directory from which the next start finds all rooms and
// the whole outbox, gives the numbers on, and removes what is not wanted. While the copy is written
// it may have any length. A loss of power before the directory is synced may bring back either name.
func TestCrashWhileCompacting(t *testing.T) {
	path := newPath(t)
	afterOutage(t, path, true)
	dir, name := filepath.Dir(path), filepath.Base(path)
	want := content(t, path)
	before := fileSize(path)
	images := map[string]string{}
	var steps []string
	s, err := Open(Config{Path: path, SDKAppID: testApp, Policy: diff.DefaultPolicy(), after: func(step string) {
		steps = append(steps, step)
		images[step] = image(t, dir)
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if want := "copy begun, copy written, copy named, directory synced"; strings.Join(steps, ", ") != want {
		t.Fatalf("steps %q, want %s", steps, want)
	}
	copied := compactPath(name)
	whole, err := os.ReadFile(filepath.Join(images["copy written"], copied))
	if err != nil {
		t.Fatal(err)
	}
	for what, size := range map[string]int{"copy cut to nothing": 0, "copy of a page": 4096, "copy of half": len(whole) / 2, "copy without its last byte": len(whole) - 1} {
		images[what] = image(t, images["copy begun"])
		if err := os.WriteFile(filepath.Join(images[what], copied), whole[:size], 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, step := range slices.Sorted(maps.Keys(images)) {
		t.Run(step, func(t *testing.T) { restarts(t, filepath.Join(images[step], name), want, before) })
	}
}

// restarts starts on what a crash has left.
func restarts(t *testing.T, path string, want map[string]string, before int64) {
	t.Helper()
	s := open(t, path)
	checked(t, s)
	_, stored, assigned := s.Position()
	if got := strings.Count(waiting(t, s, stored), "extra"); got < 20 || got != int(assigned-stored) {
		t.Errorf("%d events wait, and %d of %d are stored", got, stored, assigned)
	}
	if n := s.Status().Rooms; n < 1000 {
		t.Errorf("%d rooms, want 1000 and more", n)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if got := content(t, path); !maps.Equal(got, want) {
		t.Errorf("%d entries, want the same %d", len(got), len(want))
	}
	if _, err := os.Stat(compactPath(path)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the copy is still there: %v", err)
	}
	if after := fileSize(path); after > before/4 {
		t.Errorf("%d bytes, and %d after a start", before, after)
	}
	s = open(t, path)
	sweep(t, s, 5000, "new@1=0")
	s = reopen(t, s)
	if _, _, n := s.Position(); n <= assigned {
		t.Errorf("%d events after another sweep, want more than %d", n, assigned)
	}
}
