package state

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/fxamacker/cbor/v2"
	"go.etcd.io/bbolt"
)

// ErrRebuilding means that the state is being rebuilt from the stream, so that no copy
// of it would be worth anything.
var ErrRebuilding = errors.New("the state is being rebuilt from the stream: try again when that is done")

// A Backup is a copy of the state as it was at one moment. It is read once, and closed.
type Backup struct {
	io.Reader
	Size int64 // in bytes
	file *os.File
}

// Close removes the copy. A process that dies before leaves it to the next start.
func (b *Backup) Close() error {
	return errors.Join(b.file.Close(), removeCopy(b.file.Name()))
}

// backupPath is where the copy of a backup is written, beside the file: the root of a
// container may be read-only.
func backupPath(path string) string { return path + ".backup" }

// Backup copies the state beside its file, as it is now: rooms, counters and outbox of
// one transaction. Writers go on meanwhile, and wait only if the file has to grow. There
// may be one backup at a time.
//
// The copy remembers no holder of the lease. A roomwatch that starts with it stands by
// until the lease is free, as a stranger does, and does not watch while NATS is away: the
// process that the file belongs to may be there, frozen or cut off.
func (s *Store) Backup() (_ *Backup, err error) {
	path := backupPath(s.path)
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("copy state: %w", err), removeCopy(path))
		}
	}()
	err = s.db.View(func(tx *bbolt.Tx) error {
		if tx.Bucket(metaBucket).Get(rebuildKey) != nil {
			return ErrRebuilding
		}
		return tx.CopyFile(path, 0o600)
	})
	if err != nil {
		return nil, err
	}
	if err := forgetHolder(path); err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &Backup{Reader: f, Size: info.Size(), file: f}, nil
}

// forgetHolder makes the file one of which nobody knows whether it is used alone.
func forgetHolder(path string) error {
	// Nothing rests on the copy until whoever asked for it has synced what he got.
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: lockWait, NoFreelistSync: true, FreelistType: bbolt.FreelistMapType, NoSync: true})
	if err != nil {
		return err
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		v, err := cbor.Marshal(Holder{})
		if err != nil {
			return err
		}
		return tx.Bucket(metaBucket).Put(holderKey, v)
	})
	return errors.Join(err, db.Close())
}
