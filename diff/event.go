package diff

import (
	"slices"
	"strconv"
	"time"
)

// A Type says what happened to a room.
type Type string

// The types of events.
const (
	RoomCreated      Type = "room.created"
	RoomEnded        Type = "room.ended"
	ViewCountChanged Type = "viewcount.changed"
	RoomUpdated      Type = "room.updated"
	RoomHidden       Type = "room.hidden" // it lives, and the list shows it no more
	RoomShown        Type = "room.shown"  // the list shows it again
)

// Types returns all types of events.
func Types() []Type {
	return []Type{RoomCreated, RoomEnded, ViewCountChanged, RoomUpdated, RoomHidden, RoomShown}
}

// An Event is one difference between two looks at a room.
type Event struct {
	// ID and Seq are given when the event is committed; until then they are
	// empty and 0. Seq counts 1, 2, 3 … within an epoch and ID is
	// <epoch>-<Seq as of [FormatSeq]>.
	ID  string
	Seq uint64

	Type Type
	Room Room // as seen; in RoomEnded as last seen

	// The change happened in (Since, Time]. Time is when it was seen, and never
	// runs backwards within an epoch; a zero Since means unknown.
	Since, Time time.Time

	Previous Previous // what changed; empty in RoomCreated and RoomEnded
	Version  uint64   // 1 in RoomCreated, one more with every further event of this life
	Baseline bool     // in RoomCreated: the room was live before roomwatch first looked
	Sweep    uint64   // the sweep that saw it, counted from 1
	Gap      bool     // the change may lie in a time in which nobody watched, see [Gap]

	Evidence Evidence // zero in events of builds that told none

	Trace string // that of the page which showed it; empty if no page did or nothing is traced
}

// Evidence says what proves an event. With a RequestId the vendor's support finds
// the answer of the service.
type Evidence struct {
	By       By
	Requests []string // the RequestIds of the answers; empty if they had none
	Missed   uint64   // by sweeps: complete sweeps in a row that did not show the room
}

// By is what an event is known by.
type By string

// What an event can be known by.
const (
	ByList   By = "list"   // a page showed it
	ByInfo   By = "info"   // point reads did
	BySweeps By = "sweeps" // complete sweeps did not show the room; the request is that of the last page of the last of them
)

// Requested returns the RequestIds that are not empty, or nil.
func Requested(ids ...string) []string {
	if ids = slices.DeleteFunc(ids, func(id string) bool { return id == "" }); len(ids) > 0 {
		return ids
	}
	return nil
}

// Previous holds what an event changed, with the values that the room's events
// told last. A nil field did not change.
type Previous struct {
	RoomName       *string
	OwnerAccount   *string
	CoverURL       *string
	Category       *[]int64
	ActivityStatus *int64
	ViewCount      *int64
}

// FormatSeq returns a sequence number with 16 digits, so that the order of the
// strings is that of the numbers.
func FormatSeq(seq uint64) string {
	const zeros = "0000000000000000"
	digits := strconv.FormatUint(seq, 10)
	return zeros[min(len(digits), len(zeros)):] + digits
}
