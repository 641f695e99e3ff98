package state

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"roomwatch/diff"
)

// content returns all that a closed state file holds.
func content(t *testing.T, path string) map[string]string {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true, Timeout: lockWait})
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	err = db.View(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(name []byte, b *bbolt.Bucket) error {
			return b.ForEach(func(k, v []byte) error {
				all[fmt.Sprintf("%s %x", name, k)] = string(v)
				return nil
			})
		})
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	return all
}

// afterOutage makes a closed state file that was large while 20,000 events waited. The
// rooms of them have ended since, unless they are kept.
func afterOutage(t *testing.T, path string, keep bool) {
	t.Helper()
	s := open(t, path)
	kept := ""
	for n := range 20 {
		var rooms []string
		for i := range 1000 {
			rooms = append(rooms, fmt.Sprintf("room%d@1=%d", i, n))
		}
		if keep {
			kept = " " + strings.Join(rooms, " ")
		}
		sweep(t, s, float64(n)*10, strings.Join(rooms, " "))
	}
	_, _, assigned := s.Position()
	if assigned != 20_000 {
		t.Fatalf("%d events, want 20000", assigned)
	}
	if err := s.Stored(assigned); err != nil {
		t.Fatal(err)
	}
	for n := range 20 { // the outbox is emptied with the transactions that follow
		sweep(t, s, 1000+float64(n)*10, fmt.Sprintf("extra%d@1=0", n)+kept)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestOpenCompacts(t *testing.T) {
	path := newPath(t)
	afterOutage(t, path, false)
	before, want := fileSize(path), content(t, path)
	// A copy that a crash cut short is in the way of nothing.
	if err := os.WriteFile(compactPath(path), []byte("half a copy"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, path)
	if after := s.size(); after > before/4 {
		t.Errorf("%d bytes, and %d after a start", before, after)
	}
	if _, err := os.Stat(compactPath(path)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the copy is still there: %v", err)
	}
	if _, err := Open(Config{Path: path, SDKAppID: testApp}); !errors.Is(err, ErrLocked) {
		t.Errorf("a second Open = %v, want %v", err, ErrLocked)
	}
	checked(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if got := content(t, path); !maps.Equal(got, want) {
		t.Errorf("%d entries after the copy, want the same %d", len(got), len(want))
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v, want 0600", info.Mode(), err)
	}
	s = open(t, path) // it goes on in the copy
	sweep(t, s, 2000, "new@1=0")
	s = reopen(t, s)
	_, stored, _ := s.Position()
	if got := waiting(t, s, stored); !strings.Contains(got, "+new@1") {
		t.Errorf("after another start %q waits, want the new room", got)
	}
}

// A small file, and one that is in use, stay as they are.
func TestOpenDoesNotCompact(t *testing.T) {
	for name, rooms := range map[string]int{"small": 1, "full": 8000} {
		t.Run(name, func(t *testing.T) {
			path := newPath(t)
			s := open(t, path)
			var list []string
			for i := range rooms {
				list = append(list, fmt.Sprintf("room%d@1=0", i))
			}
			sweep(t, s, 0, strings.Join(list, " "))
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			before, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			open(t, path)
			after, err := os.Stat(path)
			if err != nil || !os.SameFile(before, after) {
				t.Errorf("a file of %d bytes was copied: %v", before.Size(), err)
			}
		})
	}
}

// Where the copy does not fit on the disk the file is used as it is.
func TestCompactOnFullDisk(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root may mount a small disk")
	}
	dir := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("no small disk can be mounted here: %v: %s", err, out)
	}
	t.Cleanup(func() { _ = exec.CommandContext(context.Background(), "umount", dir).Run() })
	path := filepath.Join(dir, "state.db")
	afterOutage(t, path, false)
	want := content(t, path)
	for _, room := range []int{0, 4, 16, 64, 96} { // KiB that are left
		fill(t, filepath.Join(dir, "filler"), room<<10)
		var log bytes.Buffer
		s, err := Open(Config{Path: path, SDKAppID: testApp, Policy: diff.DefaultPolicy(), Log: slog.New(slog.NewTextHandler(&log, nil))})
		if err != nil {
			t.Fatalf("%d KiB left: %v", room, err)
		}
		if !strings.Contains(log.String(), "state file not compacted") {
			t.Errorf("%d KiB left: the log says %q", room, log.String())
		}
		if _, err := os.Stat(compactPath(path)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%d KiB left: the copy is still there: %v", room, err)
		}
		checked(t, s)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if got := content(t, path); !maps.Equal(got, want) {
			t.Errorf("%d KiB left: %d entries, want the same %d", room, len(got), len(want))
		}
		if err := os.Remove(filepath.Join(dir, "filler")); err != nil {
			t.Fatal(err)
		}
	}
}

// fill writes a file that leaves so many bytes of its disk.
func fill(t *testing.T, path string, left int) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	size := 0
	for {
		n, err := f.Write(make([]byte, 4096))
		size += n
		if err != nil {
			break
		}
	}
	if err := errors.Join(f.Truncate(int64(max(0, size-left))), f.Close()); err != nil {
		t.Fatal(err)
	}
}
