package web

import (
	"fmt"
	"time"
)

// words says all of an explanation in sentences.
func (e Explanation) words() []string {
	var s sentences
	s.now = e.Now.Time
	s.state(e)
	if e.Room != nil {
		s.seen(e)
		s.missing(e.Absence)
	}
	if e.Reads == nil {
		s.say("Point reads are off (ROOMWATCH_POINT_READS_PER_SECOND is 0): sweeps alone decide.")
	} else {
		s.reads(e)
	}
	if c := e.Callback; c != nil {
		shown := ""
		if c.Seen {
			shown = ", and the room was shown since"
		}
		s.say("A callback has come at %s: %s%s.", s.at(c.At), c.Kind, shown)
	}
	return s.all
}

// sentences are about one room at a moment.
type sentences struct {
	now time.Time
	all []string
}

func (s *sentences) say(format string, args ...any) {
	s.all = append(s.all, fmt.Sprintf(format, args...))
}

// at writes a time in UTC, its day only if it is another one than today.
func (s *sentences) at(t Time) string {
	u := t.UTC()
	if u.Format(time.DateOnly) == s.now.UTC().Format(time.DateOnly) {
		return u.Format("15:04:05Z")
	}
	return u.Format("2006-01-02 15:04:05Z")
}

func (s *sentences) state(e Explanation) {
	switch r := e.Room; {
	case r != nil:
		what := "It is live."
		if r.Hidden {
			what = "It is live and hidden: point reads show it, the list does not."
		}
		first := ""
		if !r.FirstSeen.IsZero() {
			first = ", first seen at " + s.at(r.FirstSeen)
		}
		s.say("%s It began at %s (CreateTime %d)%s; its last event has version %d.", what, s.at(Time{time.Unix(r.CreateTime, 0)}), r.CreateTime, first, r.Version)
	case e.End == nil:
		s.say("It is not known to be live, and no end of it is remembered.")
	}
	if end := e.End; end != nil {
		what := "It has ended"
		switch {
		case e.Room != nil && e.Room.CreateTime == end.CreateTime:
			what = "It was reported as ended, and shown again later"
		case e.Room != nil:
			what = "An earlier life has ended"
		}
		s.say("%s (CreateTime %d): reported at %s, %s.", what, end.CreateTime, s.at(end.Told), proof(*end))
	}
}

func proof(e End) string {
	switch e.By {
	case "info":
		return "proved by point reads"
	case "sweeps":
		return fmt.Sprintf("after %s had missed it", count(e.Missed, "complete sweep"))
	}
	return "what proved it is not remembered"
}

// seen tells with which count the room was seen, and by which sweep.
func (s *sentences) seen(e Explanation) {
	if views := e.Room.ViewCount; views == *e.Told {
		s.say("It was seen last with %s, which is published.", count(views, "view"))
	} else {
		s.say("It was seen last with %s; the last published count is %d.", count(views, "view"), *e.Told)
	}
	switch l := e.Listed; {
	case l == nil && e.Room.Missing == nil && !e.Room.Hidden:
		s.say("No page since the start of roomwatch has shown it yet.")
	case l == nil:
	case l.Current && l.Began.IsZero():
		s.say("Sweep %d, which is on its way, has shown it.", l.Sweep)
	case l.Current:
		s.say("Sweep %d, which is on its way since %s, has shown it.", l.Sweep, s.at(l.Began))
	case l.Newest:
		s.say("Sweep %d, the newest complete one, which began at %s, has shown it.", l.Sweep, s.at(l.Began))
	default:
		s.say("Sweep %d has shown it, and none since.", l.Sweep)
	}
}

// missing tells which sweeps have missed the room, and what they lack for its end.
func (s *sentences) missing(a *RoomAbsence) {
	number := ""
	if a.Number > 0 {
		number = fmt.Sprintf(", no. %d,", a.Number)
	}
	soFar := "so far 1 has"
	switch a.Sweeps {
	case 0:
	case 1:
		s.say("Missed by the newest complete sweep%s which began at %s.", number, s.at(a.Newest))
	default:
		soFar = fmt.Sprintf("so far %d have, %s apart", a.Sweeps, a.Newest.Sub(a.First.Time).Round(time.Second))
		s.say("Missed by the last %d complete sweeps: the first began at %s, the newest%s at %s.", a.Sweeps, s.at(a.First), number, s.at(a.Newest))
	}
	if a.Passed {
		s.say("The sweep on its way is two pages past its place and has not shown it.")
	}
	if a.Sweeps == 0 {
		return
	}
	s.say("Sweeps end it when %d in a row have missed it, the first and the last of them at least %s apart: %s. (A sweep misses %.2g %% of the live rooms.)",
		a.Needed, seconds(a.Span), soFar, 100*a.MissRate)
	if a.Guard.Active {
		s.say("So many rooms are missing at once that nothing ends by sweeps until %d complete sweeps in a row agree; so far: %d.", a.Guard.Needed, a.Guard.Agree)
	}
	if a.Waits {
		s.say("Before sweeps end it, they wait for what point reads of it say.")
	}
}

func seconds(s float64) time.Duration {
	return time.Duration(s * float64(time.Second)).Round(time.Millisecond)
}

// count writes a number of things.
func count[N int | int64 | uint64](n N, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
