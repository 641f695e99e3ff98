package diff

import "time"

// How many ends are remembered, and for how long.
const (
	MaxRecentEnds   = 100_000
	MaxRecentEndAge = 24 * time.Hour
)

// A RecentEnd remembers the newest life of a RoomID that was told as over. The
// list can be an old copy: a sweep that began before the end was told does not
// bring the life back. The zero RecentEnd is none.
//
// A life that ended because a newer one was seen needs none: the newer one is
// known, or its own end is remembered.
type RecentEnd struct {
	CreateTime int64     // of the life
	Told       time.Time // not before the begin of Sweep
	Sweep      uint64    // that was going on, or came next
	Missed     uint64    // complete sweeps in a row that had missed the life; 0 if that is not known
	By         By        // what proved the end; empty if that is not known
}

// RecentEnd returns what is remembered of a room that the judged sweep ends.
func (v Verdict) RecentEnd(k Known, at time.Time, sweep uint64) RecentEnd {
	return RecentEnd{
		CreateTime: k.Room.CreateTime,
		Told:       later(at, v.History.Begin),
		Sweep:      sweep,
		Missed:     k.Missing.Sweeps(v.History.Complete),
		By:         BySweeps,
	}
}

// RecallEnd returns what is remembered of an end that the stream has. sweep is
// the one that is going on while the stream is read, or comes next.
func RecallEnd(e Event, sweep uint64) RecentEnd {
	return RecentEnd{CreateTime: e.Room.CreateTime, Told: e.Time, Sweep: sweep, By: e.Evidence.By}
}

// Expired reports whether the end is too old at t to be remembered.
func (e RecentEnd) Expired(t time.Time) bool { return t.Sub(e.Told) > MaxRecentEndAge }

// tells reports whether the end is that of the life which r shows.
func (e RecentEnd) tells(r Room) bool { return !e.Told.IsZero() && r.CreateTime == e.CreateTime }

// covers reports whether the row r is an old copy: it shows the life that was
// told as over on a page of a sweep that began before that, or it shows a life
// before that one.
//
// The sweeps of one state do not overlap, and none survives a restart, so a sweep
// with a higher number began later, whatever the clocks said. Times are compared
// only for the sweep that was going on. A read belongs to no sweep: it is old if it
// was sent before the end was told. Only where the clock was set back, and times say
// little, it counts for the sweep in which it is heard.
func (e RecentEnd) covers(r Room, l Look) bool {
	switch {
	case e.Told.IsZero() || e.Expired(l.At):
		return false
	case r.CreateTime != e.CreateTime:
		return r.CreateTime < e.CreateTime
	case l.Read && !l.Wall.Before(l.At):
		return !l.Begin.After(e.Told)
	default:
		return l.Sweep <= e.Sweep && !l.Begin.After(e.Told)
	}
}
