package state

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"go.etcd.io/bbolt"
)

// backedUp writes a backup to a file of its own.
func backedUp(t *testing.T, s *Store) string {
	t.Helper()
	b, err := s.Backup()
	if err != nil {
		t.Fatal(err)
	}
	all, err := io.ReadAll(b)
	if err := errors.Join(err, b.Close()); err != nil {
		t.Fatal(err)
	}
	if int64(len(all)) != b.Size {
		t.Errorf("%d bytes, announced were %d", len(all), b.Size)
	}
	path := filepath.Join(t.TempDir(), "copy.db")
	if err := os.WriteFile(path, all, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// A backup is the state of one moment, without the lease; what comes later is not in it,
// and nothing is left beside the file.
func TestBackup(t *testing.T) {
	path := newPath(t)
	s := open(t, path)
	if err := s.SetHolder(Holder{Process: "one", Alone: true}); err != nil {
		t.Fatal(err)
	}
	sweep(t, s, 0, "a@1=5 b@2=0")
	copied := backedUp(t, s)
	sweep(t, s, 10, "a@1=7 b@2=0 c@3=1")
	if _, err := os.Stat(backupPath(path)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the copy is left: %v", err)
	}
	status, exists, err := Inspect(copied, testApp)
	if err != nil || !exists || status.Rooms != 2 || status.Waiting != 2 {
		t.Fatalf("the copy holds %+v, %t, %v; want 2 rooms and 2 events that wait", status, exists, err)
	}
	if h, err := s.Holder(); err != nil || h.Process != "one" || !h.Alone {
		t.Errorf("the file's holder is %+v, %v", h, err)
	}
	restored := open(t, copied)
	if h, err := restored.Holder(); err != nil || h != (Holder{}) {
		t.Errorf("the copy's holder is %+v, %v", h, err)
	}
	if got, want := restored.epoch, s.epoch; got != want {
		t.Errorf("epoch %s, want %s", got, want)
	}
}

// Each copy that is made while rooms and events change is whole: [Open] and
// [Store.Check] find nothing wrong.
func TestBackupBesideWriter(t *testing.T) {
	s := open(t, newPath(t))
	done := make(chan struct{})
	var copies []string
	go func() {
		defer close(done)
		for range 10 {
			b, err := s.Backup()
			if err != nil {
				t.Error(err)
				return
			}
			var all bytes.Buffer
			_, err = io.Copy(&all, b)
			path := filepath.Join(t.TempDir(), "copy.db")
			if err := errors.Join(err, b.Close(), os.WriteFile(path, all.Bytes(), 0o600)); err != nil {
				t.Error(err)
				return
			}
			copies = append(copies, path)
		}
	}()
	for n := 0; ; n++ {
		sweep(t, s, float64(n)*10, fmt.Sprintf("a@1=%d b%d@%d=0", n, n, n))
		select {
		case <-done:
			for _, path := range copies {
				checked(t, open(t, path))
			}
			return
		default:
		}
	}
}

func TestBackupRefuses(t *testing.T) {
	path := newPath(t)
	s := open(t, path)
	// A directory is in the way of the copy; what is in it is not ours to remove.
	if err := os.MkdirAll(filepath.Join(backupPath(path), "theirs"), 0o750); err != nil {
		t.Fatal(err)
	}
	if b, err := s.Backup(); err == nil {
		t.Errorf("a backup of %d bytes onto a directory", b.Size)
	}
	if err := os.RemoveAll(backupPath(path)); err != nil {
		t.Fatal(err)
	}
	rebuilding := func(tx *bbolt.Tx) error { return tx.Bucket(metaBucket).Put(rebuildKey, []byte{1}) }
	if err := s.db.Update(rebuilding); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Backup(); !errors.Is(err, ErrRebuilding) {
		t.Errorf("while it is rebuilt: %v", err)
	}
	if err := s.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(metaBucket).Delete(rebuildKey) }); err != nil {
		t.Fatal(err)
	}
	copied := backedUp(t, s)
	// What a crash left of a backup is removed by the next start.
	if err := os.WriteFile(backupPath(copied), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	open(t, copied)
	if _, err := os.Stat(backupPath(copied)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("half a copy is left: %v", err)
	}
}
