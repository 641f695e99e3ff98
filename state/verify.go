package state

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"syscall"

	"go.etcd.io/bbolt"
	bberrors "go.etcd.io/bbolt/errors"
)

// verify reads a file from end to end before anything is written to it, and
// leaves it as it is. It may be of any application if app is 0. A file without a byte or without a bucket is a new one: a
// process can be killed between making the file and making the buckets.
func verify(path string, app int) (err error) {
	if isNew(path) {
		return nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return explain(err)
	}
	if !info.Mode().IsRegular() {
		return errors.New("it is not a regular file; move it away, or set ROOMWATCH_DATA_DIR to another directory")
	}
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true, Timeout: lockWait})
	if err != nil {
		return explain(err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	file, err := os.Open(path)
	if err != nil {
		return explain(err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return db.View(func(tx *bbolt.Tx) error {
		size := db.Info().PageSize
		t := tree{file: file, pageSize: size, pages: uint64(tx.Size()) / uint64(size), seen: make(map[uint64]struct{})}
		root := tx.Cursor().Bucket()
		if err := t.page(uint64(root.RootPage()), nil, nil); err != nil {
			return broken(err)
		}
		if k, _ := root.Cursor().First(); k == nil {
			return nil
		}
		return verifyContent(tx, app)
	})
}

// isNew reports whether a file does not exist or has not a byte.
func isNew(path string) bool {
	info, err := os.Stat(path)
	return errors.Is(err, os.ErrNotExist) || err == nil && info.Mode().IsRegular() && info.Size() == 0
}

func isFull(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }

func verifyContent(tx *bbolt.Tx, app int) error {
	meta := tx.Bucket(metaBucket)
	if meta == nil || meta.Get(formatKey) == nil {
		return broken(errors.New("a bbolt file of another program"))
	}
	if v := string(meta.Get(formatKey)); v != format {
		return broken(fmt.Errorf("format %q, known is %q: a newer version has written it; start that version again, or put the backup from before it in its place", v, format))
	}
	if v := string(meta.Get(appKey)); app != 0 && v != strconv.Itoa(app) {
		return fmt.Errorf("%w: SDKAppID %s, configured is %d; give each application a data directory of its own", ErrOther, v, app)
	}
	if meta.Get(rebuildKey) != nil {
		return nil // all of it is going to be made anew
	}
	if err := check(tx); err != nil {
		return broken(err)
	}
	return nil
}

// explain turns the reasons of bbolt and of the system for not opening a file
// into ours.
func explain(err error) error {
	var errno syscall.Errno
	switch {
	case errors.Is(err, bberrors.ErrTimeout):
		return fmt.Errorf("%w; stop it, or set ROOMWATCH_DATA_DIR to another directory", ErrLocked)
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("%w; make it readable and writable for the user that roomwatch runs as", err)
	case isFull(err):
		return fmt.Errorf("%w; make room on its disk, or set ROOMWATCH_DATA_DIR to a directory on another one", err)
	case errors.As(err, &errno):
		return fmt.Errorf("%w; ROOMWATCH_DATA_DIR has to name a directory that roomwatch can make and write to", err)
	default:
		return broken(err)
	}
}

func broken(err error) error {
	return fmt.Errorf("%w: %w; move the file away and start again: roomwatch rebuilds its state from the stream", ErrBroken, err)
}

// A tree is the tree of pages in a bbolt file, read without trust. bbolt itself
// believes its pages: where they contradict each other, or lie behind the end of
// a file that was cut, it ends the process from a goroutine of its own.
type tree struct {
	file     io.ReaderAt
	pageSize int
	pages    uint64 // how many there are
	seen     map[uint64]struct{}
}

// The layout of a page, in the byte order of the machine: a header of id (8
// bytes), flags (2), count (2) and overflow (4), and then an element for each key.
//
//	branch  position (4), key size (4), page of the child (8)
//	leaf    flags (4), position (4), key size (4), value size (4)
//
// Positions count from the element to the key; the value follows the key. A
// bucket's value begins with its root page (8) and a sequence (8); where there is
// no root page, a page follows at once.
const (
	headerSize  = 16
	elementSize = 16
	branchFlag  = 1
	leafFlag    = 2
	bucketFlag  = 1
)

// page walks the page and all below it. Their keys are not less than low and
// less than high; nil is no bound.
func (t tree) page(id uint64, low, high []byte) error {
	data := make([]byte, t.pageSize)
	if err := t.read(id, data); err != nil {
		return err
	}
	if v := binary.NativeEndian.Uint64(data); v != id {
		return fmt.Errorf("page %d says that it is page %d", id, v)
	}
	if more := binary.NativeEndian.Uint32(data[12:]); more > 0 {
		if uint64(more) >= t.pages-id {
			return fmt.Errorf("page %d ends behind the last page", id)
		}
		for i := range uint64(more) {
			data = append(data, make([]byte, t.pageSize)...)
			if err := t.read(id+i+1, data[len(data)-t.pageSize:]); err != nil {
				return err
			}
		}
	}
	if err := t.elements(data, low, high); err != nil {
		return fmt.Errorf("page %d: %w", id, err)
	}
	return nil
}

func (t tree) read(id uint64, data []byte) error {
	if _, ok := t.seen[id]; ok || id < 2 || id >= t.pages {
		return fmt.Errorf("page %d of %d is referred to twice or out of bounds", id, t.pages)
	}
	t.seen[id] = struct{}{}
	if _, err := t.file.ReadAt(data, int64(id)*int64(t.pageSize)); err != nil {
		return fmt.Errorf("page %d of %d: %w", id, t.pages, err)
	}
	return nil
}

func (t tree) elements(data []byte, low, high []byte) error {
	if len(data) < headerSize {
		return errors.New("no header")
	}
	flags, count := binary.NativeEndian.Uint16(data[8:]), int(binary.NativeEndian.Uint16(data[10:]))
	if flags != leafFlag && (flags != branchFlag || count == 0) {
		return fmt.Errorf("no tree page: flags %x, %d elements", flags, count)
	}
	if headerSize+count*elementSize > len(data) {
		return fmt.Errorf("%d elements in %d bytes", count, len(data))
	}
	keys := make([][]byte, count+1)
	values := make([][]byte, count)
	for i := range count {
		e := data[headerSize+i*elementSize:]
		at, ksize, vsize := binary.NativeEndian.Uint32(e), binary.NativeEndian.Uint32(e[4:]), uint32(0)
		if flags == leafFlag {
			at, ksize, vsize = ksize, binary.NativeEndian.Uint32(e[8:]), binary.NativeEndian.Uint32(e[12:])
		}
		if ksize == 0 || uint64(at)+uint64(ksize)+uint64(vsize) > uint64(len(e)) {
			return fmt.Errorf("element %d lies outside", i)
		}
		keys[i], values[i] = e[at:at+ksize], e[at+ksize:at+ksize+vsize]
		if i == 0 && bytes.Compare(keys[i], low) < 0 || i > 0 && bytes.Compare(keys[i-1], keys[i]) >= 0 ||
			high != nil && bytes.Compare(keys[i], high) >= 0 {
			return fmt.Errorf("key %d is out of order", i)
		}
	}
	keys[count] = high
	for i := range count {
		e := data[headerSize+i*elementSize:]
		var err error
		switch {
		case flags == branchFlag:
			err = t.page(binary.NativeEndian.Uint64(e[8:]), keys[i], keys[i+1])
		case binary.NativeEndian.Uint32(e)&bucketFlag != 0:
			err = t.bucket(values[i])
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (t tree) bucket(v []byte) error {
	if len(v) < headerSize {
		return errors.New("bucket is cut")
	}
	if root := binary.NativeEndian.Uint64(v); root != 0 {
		return t.page(root, nil, nil)
	}
	return t.elements(v[headerSize:], nil, nil)
}
