package state

import "time"

// ClockTolerance is how far the clock may be set back without a word, as NTP does.
const ClockTolerance = time.Minute

// clock returns the time of what is seen at t, and goes there. The wall clock
// can be set back; the times of an epoch never run backwards: they stand still until
// the clock has caught up.
func (w *writer) clock(t time.Time) time.Time {
	w.c.Time = max(w.c.Time, nano(t))
	return fromNano(w.c.Time)
}

// lookForClock tells that the clock was set back, and that it has caught up.
func (s *Store) lookForClock() {
	ahead := s.Status().Ahead
	switch {
	case ahead > ClockTolerance && !s.ahead:
		s.log.Warn("clock was set back", "ahead", ahead.Round(time.Second), "fix", ClockFix)
	case ahead == 0 && s.ahead:
		s.log.Info("clock has caught up")
	default:
		return
	}
	s.ahead = !s.ahead
}

// ClockFix is what to do about a clock that was set back ([Status]).
const ClockFix = "let this machine keep its time by NTP; the times of events stand still until its clock has caught up, and nothing is lost"
