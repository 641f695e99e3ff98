package state

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"
)

// A look says what Open would find, and leaves everything as it is.
func TestInspect(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "deep", "deeper", "state.db")
	empty := newPath(t)
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	bare := newPath(t)
	db, err := bbolt.Open(bare, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	used := open(t, newPath(t))
	sweep(t, used, 0, "a@1=1 b@1=1")
	full := open(t, newPath(t))
	sweep(t, full, 0, "a@1=1 b@1=1 c@1=1")
	if err := full.Close(); err != nil {
		t.Fatal(err)
	}
	broken := newPath(t)
	if err := os.WriteFile(broken, []byte("state: good\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, path string
		app        int
		rooms      uint64
		exists     bool
		err        error
		reason     string
	}{
		{name: "no file, no directory", path: missing, app: testApp},
		{name: "a file without a byte", path: empty, app: testApp},
		{name: "a file without a bucket", path: bare, app: testApp},
		{name: "a state", path: full.path, app: testApp, rooms: 3, exists: true},
		{name: "another application's", path: full.path, app: 1, err: ErrOther, reason: "data directory of its own"},
		{name: "in use", path: used.path, app: testApp, err: ErrLocked, reason: "stop it"},
		{name: "broken", path: broken, app: testApp, err: ErrBroken, reason: "move the file away"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before, berr := os.Stat(tt.path)
			s, exists, err := Inspect(tt.path, tt.app)
			if !errors.Is(err, tt.err) || exists != tt.exists || s.Rooms != tt.rooms || s.Waiting != tt.rooms {
				t.Errorf("%+v, %t, %v", s, exists, err)
			}
			if err != nil && (!strings.Contains(err.Error(), tt.reason) || !strings.Contains(err.Error(), tt.path)) {
				t.Error(err)
			}
			after, aerr := os.Stat(tt.path)
			if (berr == nil) != (aerr == nil) || berr == nil && (before.Size() != after.Size() || before.ModTime() != after.ModTime()) {
				t.Errorf("changed from %v, %v to %v, %v", before, berr, after, aerr)
			}
		})
	}
	if entries, err := os.ReadDir(filepath.Dir(filepath.Dir(filepath.Dir(missing)))); err != nil || len(entries) > 0 {
		t.Errorf("made %v, %v", entries, err)
	}
}

// A place where no state can be made is found before the start.
func TestInspectWhereNothingCanBeMade(t *testing.T) {
	file := newPath(t)
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	closed := t.TempDir()
	if err := os.Chmod(closed, 0o500); err != nil {
		t.Fatal(err)
	}
	for name, dir := range map[string]string{"under a file": filepath.Join(file, "data"), "under a file, deeper": filepath.Join(file, "a", "b"), "under a closed directory": filepath.Join(closed, "data")} {
		t.Run(name, func(t *testing.T) {
			if os.Getuid() == 0 && strings.HasPrefix(dir, closed) {
				t.Skip("no directory is closed to root")
			}
			_, _, err := Inspect(filepath.Join(dir, "state.db"), testApp)
			if err == nil || !strings.Contains(err.Error(), "ROOMWATCH_DATA_DIR") {
				t.Error(err)
			}
			if _, oerr := Open(Config{Path: filepath.Join(dir, "state.db"), SDKAppID: testApp}); oerr == nil {
				t.Error("Open makes it")
			}
		})
	}
}
