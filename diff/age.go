package diff

import "time"

// Age returns how old the news of an event was when it was seen: in RoomCreated the time
// since the room's CreateTime, which is in whole seconds, in RoomEnded since the room was last
// seen live. ok is false for other events, and where that is not known: rooms of the
// baseline began before anybody looked.
func (e Event) Age() (age time.Duration, ok bool) {
	switch {
	case e.Type == RoomCreated && !e.Baseline:
		age = e.Time.Sub(time.Unix(e.Room.CreateTime, 0))
	case e.Type == RoomEnded && !e.Since.IsZero():
		age = e.Time.Sub(e.Since)
	default:
		return 0, false
	}
	return max(0, age), true // the service's clock may be ahead of ours
}
