package state

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.etcd.io/bbolt"

	"roomwatch/diff"
)

const (
	// roomsPerView is how many rooms one transaction reads. While a transaction
	// is open the file cannot be mapped anew, so a commit that makes it grow
	// would have to wait for a whole look at a million rooms.
	roomsPerView = 500
	// nameOrder is how much of a RoomName, in bytes, counts for the order.
	nameOrder = 120
)

// A LiveRoom is a room that is known to be live.
type LiveRoom struct {
	Room    diff.Room // as last seen
	Version uint64    // of its last event

	FirstSeen time.Time // zero if unknown: the state was rebuilt from the stream since

	Missed   uint64    // complete sweeps, up to the newest, that did not show it
	LastSeen time.Time // the room was live at this moment; zero while Missed is 0
}

// A RoomOrder is by what rooms are put in order. Equal ones follow each other by RoomID.
type RoomOrder int

// The orders of rooms.
const (
	ByID RoomOrder = iota
	ByViews
	ByCreated
	ByName // regardless of case, by the first characters
)

// A RoomPlace is where a room stands in an order. It has a meaning without the
// room: one that is gone by now still parts those before it from those after.
type RoomPlace struct {
	Number int64  // views or creation
	Name   string // as it is compared
	RoomID string
}

// A RoomQuery asks for some of the rooms in an order.
type RoomQuery struct {
	Order   RoomOrder
	Falling bool                 // the order is turned round; equal rooms keep theirs
	Match   func(diff.Room) bool // nil takes all
	After   *RoomPlace           // only rooms behind this place; nil begins at the front
	Limit   int                  // at least 1
}

// Rooms returns the first rooms in the order that the query asks for, and the
// place of the last of them if there are more behind it.
//
// It reads in many short transactions. A room that stays, with what it is
// ordered by, is seen exactly once; one that comes, goes or moves meanwhile may
// be seen as it was or as it is. Rooms behind the place that a call returned are
// all a later call needs, so the same holds for the pages of a list.
//
// It keeps Limit rooms in memory, whatever the order, and ends when ctx is done.
func (s *Store) Rooms(ctx context.Context, q RoomQuery) ([]LiveRoom, *RoomPlace, error) {
	f := front{q: q, most: max(q.Limit, 1) + 1}
	if err := s.walk(ctx, f.take); err != nil {
		return nil, nil, fmt.Errorf("list rooms: %w", err)
	}
	rooms := make([]LiveRoom, 0, len(f.rooms))
	var next *RoomPlace
	for i, r := range f.rooms {
		if i == f.most-1 {
			next = &f.rooms[i-1].place
			break
		}
		rooms = append(rooms, r.room)
	}
	return rooms, next, nil
}

// Room returns what is known of a room, and false if it is not known to be live.
func (s *Store) Room(id string) (r LiveRoom, ok bool, err error) {
	err = s.db.View(func(tx *bbolt.Tx) error {
		table := newRoomTable(tx, s.index)
		key, record := table.find(id)
		if ok = key != nil; !ok {
			return nil
		}
		k, err := decodeRoom(id, record)
		if err != nil {
			return err
		}
		r, err = liveRoom(tx, key, k)
		return err
	})
	if err != nil {
		return LiveRoom{}, false, fmt.Errorf("look up room: %w", err)
	}
	return r, ok, nil
}

// walk calls visit for all rooms, in the order of the file. The key is valid
// during the call.
func (s *Store) walk(ctx context.Context, visit func(tx *bbolt.Tx, key []byte, k diff.Known) error) error {
	var from []byte // the next key is not less
	for more := true; more; {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := s.db.View(func(tx *bbolt.Tx) error {
			c := tx.Bucket(roomsBucket).Cursor()
			k, v := c.Seek(from)
			for n := 0; k != nil && n < roomsPerView; n++ {
				known, err := decodeRoom(roomID(k), v)
				if err != nil {
					return err
				}
				if err := visit(tx, k, known); err != nil {
					return err
				}
				k, v = c.Next()
			}
			from = append(from[:0], k...)
			more = k != nil
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// A front keeps the first rooms of an order, one more than a page has: it tells
// that there is a next one.
type front struct {
	q     RoomQuery
	most  int
	rooms []placed // in their order
}

type placed struct {
	place RoomPlace
	room  LiveRoom
}

func (f *front) take(tx *bbolt.Tx, key []byte, k diff.Known) error {
	if f.q.Match != nil && !f.q.Match(k.Room) {
		return nil
	}
	p := f.q.Order.Place(k.Room)
	if f.q.After != nil && f.compare(p, *f.q.After) <= 0 {
		return nil
	}
	if len(f.rooms) == f.most && f.compare(p, f.rooms[f.most-1].place) > 0 {
		return nil
	}
	r, err := liveRoom(tx, key, k)
	if err != nil {
		return err
	}
	// A RoomID that is given anew while the list is read lies at its end then.
	f.rooms = slices.DeleteFunc(f.rooms, func(e placed) bool { return e.place.RoomID == p.RoomID })
	if len(f.rooms) == f.most {
		f.rooms = f.rooms[:f.most-1]
	}
	at, _ := slices.BinarySearchFunc(f.rooms, p, func(e placed, p RoomPlace) int { return f.compare(e.place, p) })
	f.rooms = slices.Insert(f.rooms, at, placed{p, r})
	return nil
}

func (f *front) compare(a, b RoomPlace) int {
	c := cmp.Or(cmp.Compare(a.Number, b.Number), strings.Compare(a.Name, b.Name))
	if f.q.Order == ByID {
		c = strings.Compare(a.RoomID, b.RoomID)
	}
	if f.q.Falling {
		c = -c
	}
	return cmp.Or(c, strings.Compare(a.RoomID, b.RoomID))
}

// Place returns where r stands in the order.
func (o RoomOrder) Place(r diff.Room) RoomPlace {
	p := RoomPlace{RoomID: r.RoomID}
	switch o {
	case ByID:
	case ByViews:
		p.Number = r.ViewCount
	case ByCreated:
		p.Number = r.CreateTime
	case ByName:
		p.Name = strings.ToLower(r.RoomName[:min(len(r.RoomName), nameOrder)])
	}
	return p
}

// liveRoom adds to what is known of a room how long sweeps have missed it.
func liveRoom(tx *bbolt.Tx, key []byte, k diff.Known) (LiveRoom, error) {
	r := LiveRoom{Room: k.Room, Version: k.Version, FirstSeen: k.FirstSeen}
	v := tx.Bucket(missingBucket).Get(key)
	if v == nil {
		return r, nil
	}
	m, err := decodeMark(k.Room.RoomID, v)
	if err != nil {
		return r, err
	}
	c, err := getCounters(tx)
	if err != nil {
		return r, err
	}
	// A sweep that marks many rooms is counted when all of them are marked.
	r.Missed, r.LastSeen = m.Sweeps(max(c.Complete, m.First)), m.LastSeen
	return r, nil
}
