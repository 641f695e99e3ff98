package diff

import "time"

// minGap is the shortest time without a watch that is told as a gap: a restart, or a
// service that is restarted, takes less.
const minGap = 2 * time.Minute

// A Gap is a time in which nobody watched. From and To are in whole milliseconds, as
// the stream has them.
type Gap struct {
	From time.Time // when the newest complete sweep before it ended
	To   time.Time // when the sweep began that ended it
}

// Gap returns the gap between the newest complete sweep, which ended at until, and a
// sweep that began at begin. There is none up to two minutes, or up to the time of two
// sweeps: a long list takes its time, and a sweep that fails is repeated. Where until
// is not known, nobody had watched before.
//
// Only a complete sweep proves that somebody watched. One page shows its rooms, and
// says nothing of those that began and ended on the pages that were not read.
func (p Policy) Gap(h History, until, begin time.Time) (Gap, bool) {
	if until.IsZero() || begin.Sub(until) <= p.gapFrom(h) {
		return Gap{}, false
	}
	return Gap{From: until.Truncate(time.Millisecond), To: begin.Truncate(time.Millisecond)}, true
}

// gapFrom is the time between two complete sweeps from which on it is a gap.
func (p Policy) gapFrom(h History) time.Duration {
	return max(minGap, 2*max(p.Interval, h.End.Sub(h.Begin)))
}

// ChangedBefore reports whether the change that an event tells of may have happened
// before t. Where it is not known after which instant it happened, nothing is said.
func (e Event) ChangedBefore(t time.Time) bool {
	return !e.Since.IsZero() && e.Since.Before(t)
}

// A Pulse says how the watch is doing.
type Pulse struct {
	Until    time.Time // the list was watched up to then: the newest complete sweep ended, whoever made it; zero: never
	Watching bool      // Until is so recent that there is no gap
	Sweep    *Complete // the newest complete sweep of this state; nil: none since it was made or rebuilt

	Rooms, Missing, Hidden uint64   // that are known to be live; of them those that the newest sweeps did not show, and those that the list hides
	Waiting                uint64   // events that the stream is not known to have
	Recall                 *float64 // what share of the live rooms a sweep shows; nil: not measured yet
}

// A Complete is a sweep that was complete.
type Complete struct {
	Number     uint64
	Begin, End time.Time
	Rooms      uint64 // that it showed
}
