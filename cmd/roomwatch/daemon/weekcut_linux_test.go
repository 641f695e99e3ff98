package daemon

import (
	"errors"
	"os"
	"syscall"
)

// cutOff takes a file from who has it open: what is written from now on does not reach
// it, and its lock is gone. Close would not do: bbolt asks an open file for its
// descriptor while another goroutine may close it.
func cutOff(f *os.File) (err error) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, null.Close()) }()
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var dup error
	if err := conn.Control(func(fd uintptr) { dup = syscall.Dup3(int(null.Fd()), int(fd), syscall.O_CLOEXEC) }); err != nil {
		return nil // who had it has closed it
	}
	return dup
}
