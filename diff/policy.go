package diff

import (
	"slices"
	"time"
)

// A Policy says what is worth an event and when an absence is believed. The
// zero Policy publishes nothing; [DefaultPolicy] is what the documentation
// promises.
type Policy struct {
	Publish        []Type // what becomes an event; the rest is only remembered
	SilentBaseline bool   // remember the rooms of the first complete sweep without an event

	// A view count is due when it differs from the one last published by at
	// least MinChange and by at least MinPercent of it, and when the room's last
	// viewcount.changed is at least MinInterval old.
	MinChange   int64
	MinPercent  float64
	MinInterval time.Duration

	// Interval is the time from one sweep to the next where nothing is missing.
	// The sweeps that end a room span at least this, and [minWitnessSpan].
	Interval       time.Duration
	AbsentSweeps   int     // complete sweeps in a row that must miss a room, at least
	MassEndPercent float64 // a sweep that misses more of the known rooms is doubted …
	MassEndSweeps  int     // … until this many complete sweeps in a row agree
}

// DefaultPolicy returns the documented defaults.
func DefaultPolicy() Policy {
	return Policy{
		Publish:        []Type{RoomCreated, RoomEnded, ViewCountChanged},
		MinChange:      1,
		Interval:       10 * time.Second,
		AbsentSweeps:   2,
		MassEndPercent: 50,
		MassEndSweeps:  5,
	}
}

func (p Policy) publishes(t Type) bool { return slices.Contains(p.Publish, t) }
