package state

import (
	"fmt"

	"github.com/fxamacker/cbor/v2"
	"go.etcd.io/bbolt"
)

// A Holder is what the file remembers of the lease.
type Holder struct {
	// Process is the process that wanted the lease last with this file; empty: none did.
	Process string `cbor:"1,keyasint,omitempty"`
	// Alone reports that nobody else was known to watch the application when the
	// file was used last. It is also true of a new file.
	Alone bool `cbor:"2,keyasint,omitempty"`
}

var holderKey = []byte("holder")

// Holder returns what [Store.SetHolder] has written last.
func (s *Store) Holder() (h Holder, err error) {
	h.Alone = true
	err = s.db.View(func(tx *bbolt.Tx) error {
		v := tx.Bucket(metaBucket).Get(holderKey)
		if v == nil {
			return nil
		}
		h.Alone = false
		return decode.Unmarshal(v, &h)
	})
	if err != nil {
		return h, fmt.Errorf("read holder of the lease: %w", err)
	}
	return h, nil
}

// SetHolder writes who wants the lease, before the lease is written: of two copies of
// the file only one knows whom the lease names. It waits for no rebuild that is going on,
// which reads the whole stream: nothing in memory mirrors what it writes.
func (s *Store) SetHolder(h Holder) error {
	err := s.transact(func(tx *bbolt.Tx) error {
		v, err := cbor.Marshal(h)
		if err != nil {
			return err
		}
		return tx.Bucket(metaBucket).Put(holderKey, v)
	})
	if err != nil {
		return fmt.Errorf("write holder of the lease: %w", err)
	}
	return nil
}
