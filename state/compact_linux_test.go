package state

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// A process that waits for the lock while the holder puts a smaller file in this
// place does not go on with the old one, which has no name any more.
func TestLockOfReplacedFile(t *testing.T) {
	path := newPath(t)
	held, err := Config{}.openFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan error)
	go func() {
		db, err := Config{}.openFile(path)
		if err == nil {
			err = db.Close()
		}
		got <- err
	}()
	for descriptors(t, path) < 2 {
		runtime.Gosched()
	}
	smaller, err := Config{}.compact(held, path)
	if err != nil {
		t.Fatal(err)
	}
	if err := held.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-got; !errors.Is(err, ErrLocked) {
		t.Errorf("the process that waited: %v, want %v", err, ErrLocked)
	}
	if err := smaller.Close(); err != nil {
		t.Fatal(err)
	}
}

// descriptors counts how often this process has a file open.
func descriptors(t *testing.T, path string) (n int) {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range all {
		// A descriptor may be closed between the two looks; it is none of ours then.
		if to, err := os.Readlink(filepath.Join("/proc/self/fd", d.Name())); err == nil && to == path {
			n++
		}
	}
	return n
}
