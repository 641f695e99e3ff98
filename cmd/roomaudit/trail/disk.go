package trail

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
)

// A disk does what changes files. Each step is tried by tests: refused, done in
// half, or the last one before the power is cut.
type disk struct {
	before func(step, path string) error // nil but in tests: returns why a step is refused
}

// What a test returns for a step besides a reason to refuse it.
var (
	errHalf    = errors.New("half is written")
	errNoDelay = errors.New("done, without the wait for a disk") // a sync, whose effect no test can see
)

func (d *disk) refused(step, path string) error {
	if d.before == nil {
		return nil
	}
	return d.before(step, path)
}

// open opens a file for writing at its end, and makes it if it does not exist.
func (d *disk) open(path string, size int64) (*os.File, error) {
	if err := d.refused("open", path); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, fileMode)
	if err != nil {
		return nil, err
	}
	if err := d.cut(f, size); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// cut leaves the first size bytes of a file and goes to its end.
func (d *disk) cut(f *os.File, size int64) error {
	if err := d.refused("cut", f.Name()); err != nil {
		return err
	}
	if err := f.Truncate(size); err != nil {
		return err
	}
	_, err := f.Seek(size, io.SeekStart)
	return err
}

// write writes and waits until all of it is on the disk.
func (d *disk) write(f *os.File, b []byte) error {
	if err := d.refused("write", f.Name()); err != nil {
		if errors.Is(err, errHalf) {
			_, _ = f.Write(b[:len(b)/2])
		}
		return err
	}
	if _, err := f.Write(b); err != nil {
		return err
	}
	return d.sync(f)
}

func (d *disk) sync(f *os.File) error {
	err := d.refused("sync", f.Name())
	if errors.Is(err, errNoDelay) {
		return nil
	}
	if err != nil {
		return err
	}
	return f.Sync()
}

// syncDir makes the names in a directory durable. Windows has no such thing:
// NTFS keeps names in its journal.
func (d *disk) syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	err := d.refused("sync", dir)
	if errors.Is(err, errNoDelay) {
		return nil
	}
	if err != nil {
		return err
	}
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func (d *disk) rename(from, to string) error {
	if err := d.refused("rename", from); err != nil {
		return err
	}
	return os.Rename(from, to)
}

// remove removes a file; one that is not there is no error.
func (d *disk) remove(path string) error {
	if err := d.refused("remove", path); err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove: %w", err)
	}
	return nil
}
