package web

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"roomwatch/diff"
	"roomwatch/state"
)

const (
	defaultLimit = 50
	mostLimit    = 200
	mostText     = 200 // bytes of a text to search for
)

// A Room is a live room, with the field names of get_room_list.
type Room struct {
	RoomID         string   `json:"RoomId"`
	RoomName       string   `json:"RoomName"`
	OwnerAccount   string   `json:"Owner_Account"`
	CoverURL       string   `json:"CoverURL"`
	Category       []int64  `json:"Category"`
	CreateTime     int64    `json:"CreateTime"`
	ActivityStatus int64    `json:"ActivityStatus"`
	ViewCount      int64    `json:"ViewCount"`
	Version        uint64   `json:"version"`    // of its last event
	FirstSeen      Time     `json:"first_seen"` // null: unknown, since the state was rebuilt from the stream
	Missing        *Missing `json:"missing"`
	Hidden         bool     `json:"hidden"` // it lives, and the list does not show it
}

// Missing says that the newest complete sweeps did not show a room.
type Missing struct {
	Sweeps   uint64 `json:"sweeps"`
	LastSeen Time   `json:"last_seen"`
}

// A RoomList is a page of the list of rooms.
type RoomList struct {
	Rooms []Room  `json:"rooms"`
	Next  *string `json:"next"`  // the cursor of the next page; null: this is the last one
	Known uint64  `json:"known"` // rooms known to be live, whatever was asked for
}

// NewRoom returns how a room is shown.
func NewRoom(l state.LiveRoom) Room {
	r := Room{
		RoomID: l.Room.RoomID, RoomName: l.Room.RoomName, OwnerAccount: l.Room.OwnerAccount, CoverURL: l.Room.CoverURL,
		Category: l.Room.Category, CreateTime: l.Room.CreateTime, ActivityStatus: l.Room.ActivityStatus, ViewCount: l.Room.ViewCount,
		Version: l.Version, FirstSeen: Time{l.FirstSeen}, Hidden: l.Room.Hidden,
	}
	if r.Category == nil {
		r.Category = []int64{} // a list that is empty, not one that is unknown
	}
	if l.Missed > 0 {
		r.Missing = &Missing{Sweeps: l.Missed, LastSeen: Time{l.LastSeen}}
	}
	return r
}

// A listQuery is what /api/v1/rooms was asked for.
type listQuery struct {
	state.RoomQuery
	sort string // as it was asked for
}

// sorts are the ways to put rooms in order; true where that begins with the
// largest.
func sorts(name string) (o state.RoomOrder, falling, ok bool) {
	switch name {
	case "views":
		return state.ByViews, true, true
	case "created":
		return state.ByCreated, true, true
	case "name":
		return state.ByName, false, true
	case "id":
		return state.ByID, false, true
	}
	return 0, false, false
}

func roomQuery(v url.Values) (q listQuery, err error) {
	if err := known(v, "sort", "category", "owner", "q", "limit", "cursor"); err != nil {
		return q, err
	}
	q.sort, q.Limit = "views", defaultLimit
	if s := v.Get("sort"); s != "" {
		q.sort = s
	}
	name, turned := strings.CutPrefix(q.sort, "-")
	order, falling, ok := sorts(name)
	if !ok {
		return q, fmt.Errorf("sort is %.50q: write views, created, name or id, with - in front for the other direction", q.sort)
	}
	q.Order, q.Falling = order, falling != turned
	if s := v.Get("limit"); s != "" {
		if q.Limit, err = strconv.Atoi(s); err != nil || q.Limit < 1 || q.Limit > mostLimit {
			return q, fmt.Errorf("limit is %.50q: write a number from 1 to %d", s, mostLimit)
		}
	}
	if s := v.Get("cursor"); s != "" {
		c, err := parseCursor(s)
		if err != nil || c.Sort != q.sort {
			return q, fmt.Errorf("cursor is %.200q, which is none of a list sorted by %s: write the `next` of the answer before, with the same sort", s, q.sort)
		}
		q.After = &state.RoomPlace{Number: c.Number, Name: string(c.Name), RoomID: string(c.RoomID)}
	}
	q.Match, err = match(v)
	return q, err
}

// match returns the test that the parameters describe; nil if there is none.
func match(v url.Values) (func(diff.Room) bool, error) {
	owner, text := v.Get("owner"), strings.ToLower(v.Get("q"))
	if len(text) > mostText {
		return nil, fmt.Errorf("q has %d bytes: write at most %d", len(text), mostText)
	}
	var category int64
	byCategory := v.Get("category") != ""
	if byCategory {
		var err error
		if category, err = strconv.ParseInt(v.Get("category"), 10, 64); err != nil {
			return nil, fmt.Errorf("category is %.50q: write a whole number", v.Get("category"))
		}
	}
	if owner == "" && text == "" && !byCategory {
		return nil, nil
	}
	return func(r diff.Room) bool {
		return (owner == "" || r.OwnerAccount == owner) &&
			(!byCategory || slices.Contains(r.Category, category)) &&
			(text == "" || contains(r.RoomID, text) || contains(r.RoomName, text) || contains(r.OwnerAccount, text))
	}, nil
}

// contains reports whether s holds text, which is in lower case, in any case.
func contains(s, text string) bool { return strings.Contains(strings.ToLower(s), text) }

// parameters parses a query in which each of the names may stand once.
func parameters(raw string, names ...string) (url.Values, error) {
	v, err := query(raw)
	if err != nil {
		return nil, err
	}
	return v, known(v, names...)
}

func query(raw string) (url.Values, error) {
	v, err := url.ParseQuery(raw)
	if err != nil {
		return nil, fmt.Errorf("the query cannot be read: %w; percent-encode its values", err)
	}
	return v, nil
}

// known refuses other names than these, and those that stand more than once.
func known(v url.Values, names ...string) error {
	for name, values := range v {
		switch {
		case !slices.Contains(names, name):
			return fmt.Errorf("the parameter %.50q is unknown: choose from %s", name, strings.Join(names, ", "))
		case len(values) > 1:
			return fmt.Errorf("the parameter %s is given %d times: give it once", name, len(values))
		}
	}
	return nil
}

// A cursor is a place in a list. Texts are bytes: a name may be cut in the
// middle of a character.
type cursor struct {
	Sort   string `json:"s"`
	Number int64  `json:"n,omitempty"`
	Name   []byte `json:"t,omitempty"`
	RoomID []byte `json:"r"`
}

func (c cursor) String() string {
	b, err := json.Marshal(c)
	if err != nil {
		return "" // unreachable: bytes and numbers encode
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

func parseCursor(s string) (c cursor, err error) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return c, err
	}
	if err := json.Unmarshal(b, &c); err != nil {
		return c, err
	}
	if len(c.RoomID) == 0 {
		return c, errors.New("no room")
	}
	return c, nil
}
