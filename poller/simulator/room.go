package simulator

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// maxRoomID is the documented length of a RoomId, in bytes.
const maxRoomID = 48

// A Room is what the list shows of one room.
type Room struct {
	RoomID         string // 1 to 48 bytes of UTF-8; any character may occur
	RoomName       string
	Owner          string
	CoverURL       string
	Category       []int64 // at most three; the list leaves it out when empty
	CreateTime     int64   // Unix seconds
	ActivityStatus int64
	ViewCount      int64 // how often the room was entered in this life
}

// sameInfo reports whether o differs in nothing that is told as an update.
func (r Room) sameInfo(o Room) bool {
	return r.RoomName == o.RoomName && r.CoverURL == o.CoverURL && r.ActivityStatus == o.ActivityStatus && slices.Equal(r.Category, o.Category)
}

// A Life is one room from its opening to its end.
type Life struct {
	Room             // as it is now, or as it was at its end
	Opened time.Time // CreateTime is this second, or later if W4 asks for it
	Ended  time.Time // zero while the room is live
	Hidden time.Time // since when the list does not show it; zero if it does
}

// A Truth is what really was and is, at one moment.
type Truth struct {
	At        time.Time
	Lives     []Life // the ended ones in the order of their ends, then the live ones: those that the list shows, in its order, then the hidden ones by RoomID
	Forgotten int    // ended lives that are no longer in Lives, by Config.Forget
}

// Live returns the lives that have not ended and that the list shows, in its order.
func (t Truth) Live() []Life {
	first := slices.IndexFunc(t.Lives, func(l Life) bool { return l.Ended.IsZero() })
	if first < 0 {
		return nil
	}
	live := t.Lives[first:]
	if hidden := slices.IndexFunc(live, func(l Life) bool { return !l.Hidden.IsZero() }); hidden >= 0 {
		live = live[:hidden]
	}
	return live
}

// newRoom returns the n-th room ever opened, counted from 1. What it looks like
// depends on n alone and draws nothing from the world's generator.
func newRoom(n int, id string, created int64) Room {
	owner := name(n)
	r := Room{
		RoomID:         id,
		RoomName:       fmt.Sprintf("%s live, no. %d", strings.ToUpper(owner[:1])+owner[1:], n),
		Owner:          owner,
		CoverURL:       fmt.Sprintf("https://covers.example/%d.png", n),
		CreateTime:     created,
		ActivityStatus: int64(n % 3),
	}
	for i := range n % 4 {
		r.Category = append(r.Category, int64(1+(n/4+i)%9))
	}
	return r
}

// roomID is the default of Config.RoomIDs.
func roomID(n int) string { return fmt.Sprintf("live_%s_%04d", name(n), n) }

// name returns the owner of the n-th room, n from 1.
func name(n int) string {
	names := [...]string{"alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi", "ivan", "judy", "mallory", "niaj"}
	return names[(n-1)%len(names)]
}

// checkRoomID refuses what the API could not carry.
func checkRoomID(id string) error {
	switch {
	case id == "" || len(id) > maxRoomID:
		return fmt.Errorf("room ID of %d bytes: want 1 to %d", len(id), maxRoomID)
	case !utf8.ValidString(id):
		return errors.New("room ID is not UTF-8")
	}
	return nil
}
