package diff

import (
	"encoding/binary"
	"hash/maphash"
	"slices"
)

// A Room is a live room as the service lists it. The fields are those of
// get_room_list.
type Room struct {
	RoomID         string // chosen by the host's app, documented as at most 48 bytes; any character may occur
	RoomName       string
	OwnerAccount   string
	CoverURL       string
	Category       []int64 // at most three by the documentation; nil and empty are the same
	CreateTime     int64   // Unix seconds
	ActivityStatus int64   // defined by the application
	ViewCount      int64   // how often the room was entered in this life

	// Hidden: the list does not show the room, which a point read has told. It is no
	// attribute of the list, whose rows have it false.
	Hidden bool
}

// A Key names one life of a room. A RoomID can come back after its room has
// ended, so the RoomID alone is not enough.
type Key struct {
	RoomID     string
	CreateTime int64
}

// Key returns the identity of the room.
func (r Room) Key() Key { return Key{r.RoomID, r.CreateTime} }

// sameAttributes reports whether all that room.updated tells of is equal.
func (r Room) sameAttributes(o Room) bool {
	return r.RoomName == o.RoomName && r.OwnerAccount == o.OwnerAccount && r.CoverURL == o.CoverURL &&
		r.ActivityStatus == o.ActivityStatus && slices.Equal(r.Category, o.Category)
}

// Seen is the set of the lives that one sweep has shown. It keeps a 64-bit hash
// of each, so that a sweep of a million rooms fits in some 20 MB. Two lives with
// one hash (less than one chance in ten million at a million rooms) delay the
// end of one of them by a sweep, and no longer: each Seen hashes with a seed of
// its own. The zero Seen is not usable; make one with [NewSeen]. It is not safe
// for concurrent use.
type Seen struct {
	seed maphash.Seed
	keys map[[8]byte]struct{} // as bytes they take half of what numbers do: a map aligns what it holds
}

// NewSeen returns an empty set.
func NewSeen() *Seen {
	return &Seen{seed: maphash.MakeSeed(), keys: make(map[[8]byte]struct{})}
}

// Add puts k into the set and reports whether it was not there before.
func (s *Seen) Add(k Key) bool {
	h := s.hash(k)
	before := len(s.keys)
	s.keys[h] = struct{}{}
	return len(s.keys) > before
}

// Has reports whether k is in the set.
func (s *Seen) Has(k Key) bool {
	_, ok := s.keys[s.hash(k)]
	return ok
}

func (s *Seen) hash(k Key) (h [8]byte) {
	binary.NativeEndian.PutUint64(h[:], maphash.Comparable(s.seed, k))
	return h
}

// Len returns how many lives the set holds.
func (s *Seen) Len() int { return len(s.keys) }
