package state

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"roomwatch/diff"
)

// A state file that is removed, replaced or moved back under an open store.
func TestRemovedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	var log bytes.Buffer
	s, err := Open(Config{Path: path, SDKAppID: 1, Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	look := func(want bool, what string) {
		t.Helper()
		if _, err := s.EndSweep(diff.Sweep{}); err != nil {
			t.Fatal(err)
		}
		if got := s.Status().Removed; got != want {
			t.Errorf("%s: removed is %t", what, got)
		}
	}
	look(false, "a file that is there")
	aside := path + ".aside"
	if err := os.Rename(path, aside); err != nil {
		t.Fatal(err)
	}
	look(true, "a file that was moved away")
	look(true, "a sweep later")
	if n := strings.Count(log.String(), "state file was removed or replaced"); n != 1 {
		t.Errorf("told %d times:\n%s", n, log.String())
	}
	if err := os.Rename(aside, path); err != nil {
		t.Fatal(err)
	}
	look(false, "a file that was moved back")
	if err := os.WriteFile(aside, []byte("another"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(aside, path); err != nil {
		t.Fatal(err)
	}
	look(true, "a file that was replaced")
	if !strings.Contains(log.String(), path) {
		t.Errorf("the file is not named:\n%s", log.String())
	}
}
