package state

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"
)

// Inspect looks at the file as [Open] would, or at that of any application if app is 0, and makes and changes nothing. It
// returns what the file holds, and whether there is one: a file without a byte or
// without a bucket is as good as none. That the directory or the file could not
// be made or written to is an error, as it would be one of Open.
func Inspect(path string, app int) (s Status, exists bool, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("look at state %s: %w", path, err)
		}
	}()
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return s, false, canBeMade(filepath.Dir(path))
	}
	if err != nil {
		return s, false, explain(err)
	}
	if info.Mode().IsRegular() {
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			return s, false, explain(err)
		}
		if err := f.Close(); err != nil {
			return s, false, err
		}
	}
	if err := verify(path, app); err != nil || info.Size() == 0 {
		return s, false, err
	}
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true, Timeout: lockWait})
	if err != nil {
		return s, false, explain(err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	err = db.View(func(tx *bbolt.Tx) error {
		if meta := tx.Bucket(metaBucket); meta == nil || meta.Get(rebuildKey) != nil {
			return nil
		}
		m, err := readMirror(tx)
		if err != nil {
			return err
		}
		var store Store
		store.start(m)
		s, exists = store.Status(), true
		return nil
	})
	return s, exists, err
}

// canBeMade reports why a directory cannot be made, or written to if it is there.
func canBeMade(dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	info, err := os.Stat(dir)
	for errors.Is(err, os.ErrNotExist) && filepath.Dir(dir) != dir {
		dir = filepath.Dir(dir)
		info, err = os.Stat(dir)
	}
	if err == nil && !info.IsDir() {
		err = errors.New("it is not a directory")
	}
	if err == nil {
		err = writable(dir)
	}
	if err != nil {
		return fmt.Errorf("%s: %w; ROOMWATCH_DATA_DIR has to name a directory that roomwatch can make and write to", dir, err)
	}
	return nil
}
