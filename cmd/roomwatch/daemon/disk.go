package daemon

import (
	"errors"
	"fmt"
	"os"
)

// diskRoom is what a disk must take so that it has room, in bytes.
const diskRoom = 1 << 20

// TryDisk writes a file into a directory, and removes it.
func TryDisk(dir string) (err error) {
	f, err := os.CreateTemp(dir, "room-")
	if err != nil {
		return fmt.Errorf("try disk: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	if _, err := f.Write(make([]byte, diskRoom)); err != nil {
		return fmt.Errorf("try disk: %w", err)
	}
	return f.Sync()
}
