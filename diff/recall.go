package diff

import "errors"

// ErrGap means that events do not go on from what is known: some between are gone.
var ErrGap = errors.New("events in between are missing")

// Recall returns what is known of a room whose newest event is e, and false if
// that was its end.
func Recall(e Event) (Known, bool) {
	if e.Type == RoomEnded {
		return Known{}, false
	}
	k := Known{Room: e.Room, Version: e.Version, Published: e.Room.ViewCount, SeenAt: e.Time}
	if e.Type == RoomCreated {
		k.FirstSeen = e.Time
	}
	// The attributes of other rooms are those of the list, also where a read has told the event.
	k.Unlisted = e.Evidence.By == ByInfo && (e.Type == RoomCreated || e.Type == RoomShown || e.Room.Hidden)
	if e.Type == ViewCountChanged {
		k.CountedAt = e.Time
	}
	return k, true
}
