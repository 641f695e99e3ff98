package state

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"sync"

	"go.etcd.io/bbolt"
)

// slotSize is the length of the number before the RoomID in the key of a room.
const slotSize = 8

// A roomTable is the bucket of rooms with its index, in one transaction.
//
// Rooms lie in the order in which they were first seen. By RoomID, which is in
// no order that the list knows, each room of a page would be on a leaf of its
// own, and a page that changed would write twenty of them.
type roomTable struct {
	rooms  *bbolt.Bucket
	looker *bbolt.Cursor // goes down from the root for each look, and needs new memory for none
	index  *roomIndex
	key    []byte // the key that find returned last
}

func newRoomTable(tx *bbolt.Tx, index *roomIndex) roomTable {
	rooms := tx.Bucket(roomsBucket)
	t := roomTable{rooms: rooms, looker: rooms.Cursor(), index: index}
	t.rooms.FillPercent = 0.9 // new rooms are appended; the rest is for records that grow
	return t
}

// find returns the key and the record of a room, or nil if it is not known. The
// key is valid until the next call, the record until the next write.
func (t *roomTable) find(id string) (key, record []byte) {
	t.index.mu.RLock()
	defer t.index.mu.RUnlock()
	for h := t.index.hash(id); ; h++ {
		slot, ok := t.index.slots[h]
		if !ok {
			return nil, nil
		}
		t.key = roomKey(t.key[:0], slot, id)
		if k, record := t.looker.Seek(t.key); bytes.Equal(k, t.key) {
			return t.key, record
		}
	}
}

// insert adds the record of a room that is not known.
func (t *roomTable) insert(id string, record []byte) error {
	if id == "" {
		return errors.New("put room: it has no RoomID")
	}
	slot, err := t.rooms.NextSequence()
	if err != nil {
		return fmt.Errorf("number room %q: %w", id, err)
	}
	t.index.add(id, slot)
	return t.replace(roomKey(nil, slot, id), record)
}

// replace writes the record of a known room.
func (t *roomTable) replace(key, record []byte) error {
	if err := t.rooms.Put(key, record); err != nil {
		return fmt.Errorf("put room %q: %w", roomID(key), err)
	}
	return nil
}

// remove deletes a known room.
func (t *roomTable) remove(key []byte) error {
	t.index.remove(roomID(key), binary.BigEndian.Uint64(key))
	if err := t.rooms.Delete(key); err != nil {
		return fmt.Errorf("delete room %q: %w", roomID(key), err)
	}
	return nil
}

func roomKey(b []byte, slot uint64, id string) []byte {
	return append(binary.BigEndian.AppendUint64(b, slot), id...)
}

// roomID returns the RoomID in the key of a room, or nothing if it is too short for one.
func roomID(key []byte) string { return string(key[min(slotSize, len(key)):]) }

// A roomIndex finds the slots of RoomIDs: a million of them take some 30 MB. It
// is not in the file but made from it, and made anew after any write that did
// not succeed (see update), so there is nothing to keep in step.
//
// It knows hashes only; the key in the file has the whole RoomID and decides.
// RoomIDs of one hash lie one after the other.
//
// Only who holds the write lock of the store changes it. Whoever only reads may
// find it a transaction ahead of the file, and does not find a room then that
// comes or goes just now.
type roomIndex struct {
	hash func(id string) uint64

	mu    sync.RWMutex      // guards slots
	slots map[uint64]uint64 // 0: removed, and others of its hash may follow
}

func newRoomIndex() *roomIndex {
	seed := maphash.MakeSeed()
	return &roomIndex{
		hash:  func(id string) uint64 { return maphash.String(seed, id) },
		slots: make(map[uint64]uint64),
	}
}

// load makes the index of what is in the bucket. It is an error if a RoomID has
// two slots; the index then stays as it was.
func (x *roomIndex) load(tx *bbolt.Tx) error {
	made := &roomIndex{hash: x.hash, slots: make(map[uint64]uint64)}
	t := newRoomTable(tx, made)
	err := t.rooms.ForEach(func(k, _ []byte) error {
		id := roomID(k)
		if len(id) == 0 {
			return fmt.Errorf("I5: room key %x has no RoomID", k)
		}
		if other, _ := t.find(id); other != nil {
			return fmt.Errorf("I5: room %q is there twice", id)
		}
		made.add(id, binary.BigEndian.Uint64(k))
		return nil
	})
	if err != nil {
		return err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.slots = made.slots
	return nil
}

func (x *roomIndex) clear() {
	x.mu.Lock()
	defer x.mu.Unlock()
	clear(x.slots)
}

func (x *roomIndex) add(id string, slot uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	h := x.hash(id)
	for x.slots[h] != 0 {
		h++
	}
	x.slots[h] = slot
}

func (x *roomIndex) remove(id string, slot uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	h := x.hash(id)
	for x.slots[h] != slot {
		h++
	}
	if _, ok := x.slots[h+1]; ok {
		x.slots[h] = 0
	} else {
		delete(x.slots, h)
	}
}
