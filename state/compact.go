package state

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"go.etcd.io/bbolt"
)

const (
	// compactMin is the size in bytes below which a file is not worth a copy.
	compactMin = 1 << 20
	// compactTx is how many bytes one transaction of the copy writes.
	compactTx = 1 << 20
)

// compactPath is where the copy of a state file is written. One that a crash
// left there is worth nothing: the file itself is whole.
func compactPath(path string) string { return path + ".compact" }

// openFile opens and locks a state file. bbolt gives way only to a process that
// has the lock of the same file: one that waited for the lock while the holder
// put another file in this place would get that of a file without a name.
func (c Config) openFile(path string) (*bbolt.DB, error) {
	open := c.OpenFile
	if open == nil {
		open = os.OpenFile
	}
	var opened os.FileInfo
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{
		Timeout: lockWait,
		// The list of free pages would be written with every page of rooms, and
		// it is long after a busy hour. It is found again when the file is opened.
		NoFreelistSync: true,
		FreelistType:   bbolt.FreelistMapType,
		OpenFile: func(name string, flag int, perm os.FileMode) (*os.File, error) {
			f, err := open(name, flag, perm)
			if err != nil {
				return nil, err
			}
			if opened, err = f.Stat(); err != nil {
				return nil, errors.Join(err, f.Close())
			}
			return f, nil
		},
	})
	if err != nil {
		return nil, explain(err)
	}
	now, err := os.Stat(path)
	if err == nil && !os.SameFile(opened, now) || errors.Is(err, os.ErrNotExist) {
		err = fmt.Errorf("%w: it was replaced meanwhile; start again", ErrLocked)
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// isMostlyFree reports whether more than half of a file worth a copy holds nothing.
// A file never gets smaller by itself: after an outage it is as large as all the
// events that waited.
func isMostlyFree(db *bbolt.DB, path string) (bool, error) {
	info, err := os.Stat(path)
	if err != nil {
		return false, err
	}
	var used int64
	err = db.View(func(tx *bbolt.Tx) error {
		used = tx.Size() - int64(db.Stats().FreePageN)*int64(db.Info().PageSize)
		return nil
	})
	return info.Size() >= compactMin && used < info.Size()/2, err
}

// compact puts a copy without free pages in the place of the file that db has
// open, and returns the copy, open and locked. Both files hold the same, so what
// a crash leaves behind depends on the name alone:
//
//	while the copy is written       the file as it was, and a copy that the next
//	                                start removes
//	after the copy got its name     the copy under either name: the file as it
//	                                was, or the copy, until the directory is synced
//	after the directory is synced   the copy
//
// The lock of the file is held until the copy has its name, and that of the copy
// from before: nobody else can open either of them for writing. After an error
// db is open and its file is in its place, but for [errUnsynced].
func (c Config) compact(db *bbolt.DB, path string) (_ *bbolt.DB, err error) {
	temp := compactPath(path)
	smaller, err := c.openFile(temp)
	if err != nil {
		return nil, errors.Join(err, removeCopy(temp))
	}
	defer func() {
		if err != nil && !errors.Is(err, errUnsynced) {
			err = errors.Join(err, smaller.Close(), removeCopy(temp))
		}
	}()
	c.done("copy begun")
	if err := bbolt.Compact(smaller, db, compactTx); err != nil {
		return nil, err
	}
	c.done("copy written")
	if err := os.Rename(temp, path); err != nil {
		return nil, err
	}
	c.done("copy named")
	if err := syncDir(filepath.Dir(path)); err != nil {
		// The power could bring the old file back, and with it numbers that are
		// given a second time.
		return nil, errors.Join(fmt.Errorf("%w: %w", errUnsynced, err), smaller.Close())
	}
	c.done("directory synced")
	return smaller, nil
}

func (c Config) done(step string) {
	if c.after != nil {
		c.after(step)
	}
}

// removeCopy removes a copy that is not wanted, if there is one.
func removeCopy(path string) error {
	if err := os.Remove(path); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// errUnsynced is met after the copy got its name, on a disk that then refused to
// make it last.
var errUnsynced = errors.New("the directory cannot be synced; see that its disk works and start roomwatch again")

// syncDir makes a new name in a directory outlast a loss of power.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// shrink opens the state file, and a smaller copy in its place where most of it is
// free. One that cannot be copied, as on a full disk, is used as it is. Windows
// gives no new name to a file that is open; there the file keeps its size.
func (c Config) shrink() (*bbolt.DB, error) {
	db, err := c.openFile(c.Path)
	if err != nil || runtime.GOOS == "windows" {
		return db, err
	}
	if err := errors.Join(removeCopy(compactPath(c.Path)), removeCopy(backupPath(c.Path))); err != nil {
		return nil, errors.Join(explain(err), db.Close())
	}
	free, err := isMostlyFree(db, c.Path)
	if err != nil {
		return nil, errors.Join(explain(err), db.Close())
	}
	if !free {
		return db, nil
	}
	before := fileSize(c.Path)
	smaller, err := c.compact(db, c.Path)
	switch {
	case errors.Is(err, errUnsynced):
		return nil, errors.Join(err, db.Close())
	case err != nil:
		c.Log.Warn("state file not compacted", "error", err, "bytes", before,
			"fix", "none is required: the file is used as it is; the next start tries again")
		return db, nil
	}
	if err := db.Close(); err != nil {
		return nil, errors.Join(explain(err), smaller.Close())
	}
	c.Log.Info("state file compacted", "bytes_before", before, "bytes", fileSize(c.Path))
	return smaller, nil
}

// fileSize returns the size of a file in bytes; 0 if it is not there.
func fileSize(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}
