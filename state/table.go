package state

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"math"
	"sync"

	"go.etcd.io/bbolt"

	"roomwatch/diff"
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
		e, ok := t.index.entries[h]
		if !ok {
			return nil, nil
		}
		t.key = roomKey(t.key[:0], e.slot, id)
		if k, record := t.looker.Seek(t.key); bytes.Equal(k, t.key) {
			return t.key, record
		}
	}
}

// insert adds the record of a room that is not known, and is k from now on.
func (t *roomTable) insert(k diff.Known, record []byte) error {
	id := k.Room.RoomID
	if id == "" {
		return errors.New("put room: it has no RoomID")
	}
	slot, err := t.rooms.NextSequence()
	if err != nil {
		return fmt.Errorf("number room %q: %w", id, err)
	}
	t.index.add(id, slot)
	return t.replace(roomKey(nil, slot, id), k, record)
}

// replace writes the record of a known room, which is k from now on.
func (t *roomTable) replace(key []byte, k diff.Known, record []byte) error {
	t.settle(key, k)
	if err := t.rooms.Put(key, record); err != nil {
		return fmt.Errorf("put room %q: %w", roomID(key), err)
	}
	return nil
}

// settle notes whether a known room, which is k from now on, is settled. It must
// be called with everything that changes it.
func (t *roomTable) settle(key []byte, k diff.Known) {
	var print uint64
	if k.Settled() {
		print = t.index.fingerprint(k.Room)
	}
	t.index.settle(roomID(key), binary.BigEndian.Uint64(key), print, k.Room.Hidden)
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

// A roomIndex finds the slots of RoomIDs, and tells whether a room on a page is
// settled: known just as it is shown, and [diff.Known.Settled]. The sight of such a
// room changes nothing, and it is the lot of most rooms on most pages, so neither the
// file is read nor a record decoded for them. A million rooms take some 55 MB.
//
// It is not in the file but made from it, and made anew after any write that did
// not succeed (see update); a room is then not known to be settled until it is
// seen again.
//
// It knows hashes only. For a slot the key in the file has the whole RoomID and
// decides; RoomIDs of one hash lie one after the other. For a settled room nothing
// else decides: of 2^64 changes one is not seen before the next one of its room,
// and another one in another process, since each hashes with a seed of its own.
//
// Only who holds the write lock of the store changes it. Whoever only reads may
// find it a transaction ahead of the file, and does not find a room then that
// comes or goes just now.
type roomIndex struct {
	seed maphash.Seed
	hash func(id string) uint64

	mu      sync.RWMutex // guards entries
	entries map[uint64]entry
}

type entry struct {
	slot  uint64 // 0: removed, and others of its hash may follow
	print uint64 // the fingerprint of the room, if it is settled; 0: look at its record
	views uint32 // the count with which the list showed it last, see place; 0 if it has not since the start
	sweep uint32 // the low bits of the sweep that did
}

// place is a view count in 32 bits, to save memory. Counts that do not fit are equal, so
// that none of them is before another one in the list.
func place(views int64) uint32 { return uint32(min(max(views, 0), math.MaxUint32)) }

func newRoomIndex() *roomIndex {
	seed := maphash.MakeSeed()
	return &roomIndex{
		seed:    seed,
		hash:    func(id string) uint64 { return maphash.String(seed, id) },
		entries: make(map[uint64]entry),
	}
}

// settled reports whether the room is settled as a page of the sweep shows it, and
// notes that it does if so.
func (x *roomIndex) settled(r diff.Room, sweep uint64) bool {
	print := x.fingerprint(r)
	x.mu.Lock()
	defer x.mu.Unlock()
	for h := x.hash(r.RoomID); ; h++ {
		e, ok := x.entries[h]
		if !ok {
			return false
		}
		if e.print == print {
			e.views, e.sweep = place(r.ViewCount), uint32(sweep)
			x.entries[h] = e
			return true
		}
	}
}

// listed notes that a page of the sweep shows a known room.
func (x *roomIndex) listed(r diff.Room, slot, sweep uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	h := x.locate(r.RoomID, slot)
	e := x.entries[h]
	e.views, e.sweep = place(r.ViewCount), uint32(sweep)
	x.entries[h] = e
}

// has reports whether a room is known.
func (x *roomIndex) has(id string) bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.entries[x.hash(id)].slot != 0
}

// passed returns the slots of the rooms that the list has shown with more views,
// and that the sweep has not shown.
func (x *roomIndex) passed(views int64, sweep uint64) []uint64 {
	x.mu.RLock()
	defer x.mu.RUnlock()
	var slots []uint64
	for _, e := range x.entries {
		if e.slot != 0 && e.views > place(views) && e.sweep != uint32(sweep) {
			slots = append(slots, e.slot)
		}
	}
	return slots
}

// fingerprint hashes all that the list shows of a room. It is never 0.
func (x *roomIndex) fingerprint(r diff.Room) uint64 {
	var h maphash.Hash
	h.SetSeed(x.seed)
	var buf [8]byte
	number := func(n int64) { _, _ = h.Write(binary.LittleEndian.AppendUint64(buf[:0], uint64(n))) }
	for _, s := range [...]string{r.RoomID, r.RoomName, r.OwnerAccount, r.CoverURL} {
		number(int64(len(s))) // where it ends
		_, _ = h.WriteString(s)
	}
	for _, c := range r.Category {
		number(c)
	}
	number(r.CreateTime)
	number(r.ActivityStatus)
	number(r.ViewCount)
	if r.Hidden {
		number(1)
	}
	return max(1, h.Sum64())
}

// load makes the index of what is in the bucket. It is an error if a RoomID has
// two slots; the index then stays as it was.
func (x *roomIndex) load(tx *bbolt.Tx) error {
	made := &roomIndex{seed: x.seed, hash: x.hash, entries: make(map[uint64]entry)}
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
	x.entries = made.entries
	return nil
}

func (x *roomIndex) clear() {
	x.mu.Lock()
	defer x.mu.Unlock()
	clear(x.entries)
}

func (x *roomIndex) add(id string, slot uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	h := x.hash(id)
	for x.entries[h].slot != 0 {
		h++
	}
	x.entries[h] = entry{slot: slot}
}

func (x *roomIndex) settle(id string, slot, print uint64, hidden bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	h := x.locate(id, slot)
	e := x.entries[h]
	if e.slot, e.print = slot, print; hidden {
		e.views = 0 // it has no place in the list
	}
	x.entries[h] = e
}

func (x *roomIndex) remove(id string, slot uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	h := x.locate(id, slot)
	if _, ok := x.entries[h+1]; ok {
		x.entries[h] = entry{}
	} else {
		delete(x.entries, h)
	}
}

// locate returns the hash under which a known room lies.
func (x *roomIndex) locate(id string, slot uint64) uint64 {
	h := x.hash(id)
	for x.entries[h].slot != slot {
		h++
	}
	return h
}
