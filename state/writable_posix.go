//go:build linux || darwin

package state

import "syscall"

// writable asks the system whether files can be made in a directory.
func writable(dir string) error {
	const write, search = 2, 1
	return syscall.Access(dir, write|search)
}
