package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"roomwatch/cmd/roomaudit/trail"
	"roomwatch/publisher/events"
)

// toldWithin is how long after a room began or ended that is on record, at the
// latest: several complete readings of the list, and a doubt about a mass end.
const toldWithin = 10 * time.Minute

// A life is what is on record of one life of a room: one RoomId, one CreateTime.
type life struct {
	app         int
	created     time.Time // by the service
	seen        time.Time // when it is first on record
	baseline    bool      // it was live before roomwatch first looked
	sign        time.Time // the newest proof that it was live
	ended       time.Time // when its end was seen; zero: no end is on record
	owner, name string    // the newest ones

	changes             int // of the view count
	first, most, newest int64
	from, to            uint64 // lines of the trail
	begin, end          evidence
}

// evidence is what the event says of its own proof.
type evidence struct {
	By       string   `json:"by"`
	Requests []string `json:"requests"`
	Missed   int      `json:"missed"`
}

func evidenceOf(l trail.Line) evidence {
	var e struct {
		Data struct {
			Evidence evidence `json:"evidence"`
		} `json:"data"`
	}
	_ = json.Unmarshal(l.Event, &e) // it is an event; one without evidence says nothing of it
	return e.Data.Evidence
}

// A history is all that is on record of one RoomId, in one application or in all.
type history struct {
	app   int // 0: all
	lives []*life
	holes []trail.Hole
	spans map[int]trail.Span // of the record of each application
}

// span returns from when to when an application is on record. Of one that is known
// by nothing else than its number there is no record.
func (h *history) span(app int) trail.Span { return h.spans[app] }

// watched returns the applications that the room may have been in.
func (h *history) watched() []int {
	if h.app != 0 {
		return []int{h.app}
	}
	apps := slices.Sorted(maps.Keys(h.spans))
	return slices.DeleteFunc(apps, func(app int) bool { return app == 0 })
}

// add takes the next event of the room.
func (h *history) add(f trail.Found) {
	e, room := f.Event, f.Event.Data.Room
	if h.app != 0 && e.App() != h.app {
		return
	}
	created := time.Unix(room.CreateTime, 0).UTC()
	i := slices.IndexFunc(h.lives, func(l *life) bool { return l.app == e.App() && l.created.Equal(created) })
	if i < 0 {
		h.lives = append(h.lives, &life{app: e.App(), created: created, seen: e.Time, sign: created, first: room.ViewCount, from: f.Line.Line})
		i = len(h.lives) - 1
	}
	l := h.lives[i]
	l.to, l.owner, l.name, l.newest = f.Line.Line, room.OwnerAccount, room.RoomName, room.ViewCount
	l.most = max(l.most, room.ViewCount)
	sign := e.Time
	switch e.Type {
	case events.RoomCreated:
		l.baseline, l.begin = e.Data.Baseline, evidenceOf(f.Line)
	case events.RoomEnded:
		l.ended, l.end = e.Time, evidenceOf(f.Line)
		sign = e.Data.Since
	case events.ViewCountChanged:
		l.changes++
	}
	if sign.After(l.sign) {
		l.sign = sign
	}
}

// touching returns the holes in the record of a life.
func (h *history) touching(l *life) (all []trail.Hole) {
	until := l.ended
	if until.IsZero() {
		until = h.span(l.app).Last
	}
	for _, hole := range h.holes {
		if hides(hole, l.app, l.created, until) {
			all = append(all, hole)
		}
	}
	return all
}

// hides reports whether something of an application may be missing, because of a
// hole, that happened, or was told, between two times.
func hides(hole trail.Hole, app int, from, to time.Time) bool {
	return (hole.App == 0 || hole.App == app) && (hole.After.IsZero() || !hole.After.After(to)) && (hole.Before.IsZero() || !hole.Before.Before(from))
}

// An answer says whether a room was live.
type answer string

// The answers.
const (
	yes     answer = "yes"
	no      answer = "no"
	unknown answer = "unknown"
)

// at answers whether the room was live at a time, and why. What the record cannot
// know is unknown.
func (h *history) at(t time.Time) (answer, string) {
	is, why := no, ""
	for _, l := range h.lives {
		if t.Before(l.created) || !l.ended.IsZero() && !t.Before(l.ended) {
			continue
		}
		if is, why = h.during(l, t); is == yes {
			return is, why
		}
	}
	if why != "" {
		return is, why
	}
	apps := h.watched()
	if len(apps) == 0 {
		return unknown, "nothing is on record"
	}
	for _, app := range apps {
		if why := h.doubt(app, t); why != "" {
			return unknown, why
		}
	}
	if len(h.lives) == 0 {
		return no, "the room is not on record"
	}
	return no, "no life of it that is on record has this time"
}

// doubt says why a life of the room in an application may have had a time without
// being on record; empty: it can not. A life that began and ended in a hole is not;
// nor is one whose beginning would have been told in it.
func (h *history) doubt(app int, t time.Time) string {
	span, told := h.span(app), t.Add(toldWithin)
	of := fmt.Sprintf("the record of application %d", app)
	switch hole, ok := h.hole(app, t, told); {
	case span.First.IsZero():
		return of + " is empty"
	case t.Before(span.First):
		return of + " begins at " + clock(span.First)
	case span.Last.Before(told):
		return fmt.Sprintf("%s ends at %s, and a beginning is told up to %s later", of, clock(span.Last), toldWithin)
	case ok:
		return fmt.Sprintf("it may have been live, or told of, in the gap at line %d: %s", hole.Line, visible(hole.Text))
	}
	return ""
}

// during answers for a time that may lie in a life.
func (h *history) during(l *life, t time.Time) (answer, string) {
	lived := "it was live since " + clock(l.created)
	switch {
	case !t.After(l.sign):
		return yes, fmt.Sprintf("%s, and is known to have been live at %s", lived, clock(l.sign))
	case !l.ended.IsZero():
		return unknown, fmt.Sprintf("%s; it ended between %s, when it was last known to be live, and %s", lived, clock(l.sign), clock(l.ended))
	}
	lived += " and last known to be live at " + clock(l.sign)
	last := h.span(l.app).Last
	if hole, ok := h.hole(l.app, l.sign, t.Add(toldWithin)); ok {
		return unknown, fmt.Sprintf("%s; its end may be in the gap at line %d: %s", lived, hole.Line, visible(hole.Text))
	}
	if last.Before(t.Add(toldWithin)) {
		return unknown, fmt.Sprintf("%s; the record of application %d ends at %s, and an end is told up to %s later", lived, l.app, clock(last), toldWithin)
	}
	return yes, fmt.Sprintf("%s, and no end is on record until %s", lived, clock(last))
}

// hole returns the first hole that hides something of an application between two times.
func (h *history) hole(app int, from, to time.Time) (trail.Hole, bool) {
	i := slices.IndexFunc(h.holes, func(hole trail.Hole) bool { return hides(hole, app, from, to) })
	if i < 0 {
		return trail.Hole{}, false
	}
	return h.holes[i], true
}

func clock(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.999Z") }
