package events

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

var (
	// ErrNotEvent means that a body is no event of a room: no JSON, or something
	// that an event always has is missing or wrong. The error that wraps it says what.
	ErrNotEvent = errors.New("not an event of a room")
	// ErrUnknownType means that a later roomwatch has a type of events that this
	// package does not know; [Decode] returns what it understands of it.
	ErrUnknownType = errors.New("unknown type of event")
)

// Decode returns the event in the body of a message. It takes what later
// versions may add, and refuses what no version writes.
//
// A claim to be the writer (type writer.claimed, on a subject of four tokens) is
// no event of a room. Neither is what tells of the watch, on such subjects, too: the
// error is [ErrWatch] then.
func Decode(body []byte) (Event, error) {
	var e Event
	if err := json.Unmarshal(body, &e); err != nil {
		var other struct{ Type Type }
		if json.Unmarshal(body, &other) == nil && isWatch(other.Type) { // its data is another
			return Event{}, fmt.Errorf("decode %s: %w", other.Type, ErrWatch)
		}
		return Event{}, fmt.Errorf("decode event: %w: %w", ErrNotEvent, err)
	}
	if isWatch(e.Type) {
		return Event{}, fmt.Errorf("decode %s: %w", e.Type, ErrWatch)
	}
	var unknown error
	if e.Type != "" && !slices.Contains(Types(), e.Type) {
		unknown = fmt.Errorf("decode event %q: %w: %q", e.ID, ErrUnknownType, e.Type)
	}
	if list := e.problems(); len(list) > 0 {
		return Event{}, fmt.Errorf("decode event %q: %w: %w", e.ID, ErrNotEvent, list)
	}
	return e, unknown
}

// problems returns all that is wrong with an event in itself.
func (e Event) problems() problems {
	var list problems
	check := func(ok bool, format string, args ...any) {
		if !ok {
			list = append(list, fmt.Errorf(format, args...))
		}
	}
	check(e.SpecVersion == "1.0", "specversion is %q, want 1.0", e.SpecVersion)
	check(e.Type != "", "type is missing")
	_, seq, err := splitID(e.ID)
	check(err == nil, "%w", err)
	_, badSource := appOf(e.Source)
	check(badSource == nil, "%w", badSource)
	if err == nil {
		check(e.Sequence == fmt.Sprintf("%016d", seq), "sequence is %q, the id says %016d", e.Sequence, seq)
	}
	r := e.Data.Room
	check(r.RoomID != "", "data.room.RoomId is missing")
	check(e.Subject == r.RoomID, "subject is %q, data.room.RoomId %q", e.Subject, r.RoomID)
	check(!e.Time.IsZero(), "time is missing")
	check(e.Data.Version > 0, "data.version is missing")
	check(e.Data.Sweep > 0, "data.sweep is missing")
	check((e.Type == RoomCreated) == (e.Data.Version == 1), "data.version is %d in a %s; it is 1 in room.created and nowhere else", e.Data.Version, e.Type)
	return list
}

// problems are the ways in which an event is wrong, told in one line.
type problems []error

func (p problems) Error() string {
	texts := make([]string, len(p))
	for i, err := range p {
		texts[i] = err.Error()
	}
	return strings.Join(texts, "; ")
}
