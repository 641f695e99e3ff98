package rules

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/text/unicode/norm"

	"roomwatch/cmd/roomnotify/form"
	"roomwatch/publisher/events"
)

// check looks whether the rule makes sense, and makes its patterns. What is said
// of a field that could not be read already is not said again.
func (r *Rule) check(p *problems, targets []Target, unread func(field string) bool) {
	what := "rule " + r.Name
	p.add(nameForm.MatchString(r.Name), r.at(), "rule %q: %s", r.Name, nameHint)
	p.add(len(r.Events) > 0 || len(r.Milestones) > 0 || r.Watch || unread("events") || unread("milestones") || unread("watch"), r.at(), "%s: it has neither events nor milestones nor watch: it would report nothing", what)
	known := form.EventTypes()
	for i, e := range r.Events {
		p.add(slices.Contains(known, e), r.at("events", i), "%s: events has %q: choose from %s; view counts are reported by milestones", what, e, strings.Join(known, ", "))
	}
	for i, m := range r.Milestones {
		p.add(m > 0 || unread("milestones"), r.at("milestones", i), "%s: milestones has %d: write view counts above 0", what, m)
	}
	slices.Sort(r.Milestones)
	r.Milestones = slices.Compact(r.Milestones)
	p.add(len(r.Targets) > 0 || unread("targets"), r.at(), "%s: targets is missing: name at least one target", what)
	for i, name := range r.Targets {
		found := slices.ContainsFunc(targets, func(t Target) bool { return t.Name == name })
		p.add(found, r.at("targets", i), "%s: target %q is not under targets: add it there, or correct the name", what, name)
		p.add(!slices.Contains(r.Targets[:i], name), r.at("targets", i), "%s: target %q is named twice: remove one of them", what, name)
	}
	p.add(r.MinViews >= 0, r.at("min_views"), "%s: min_views is %d: write 0 or more", what, r.MinViews)
	p.add(r.Limit >= 0, r.at("limit"), "%s: limit is %d: write notifications a minute, or 0 for any number", what, r.Limit)
	r.owners = r.patterns(p, "owners", r.Owners)
	r.names = r.patterns(p, "names", r.Names)
	if r.Quiet != nil && !unread("quiet") {
		r.Quiet.check(func(field, format string, args ...any) {
			p.add(false, r.at("quiet", field), "%s: quiet: %w", what, fmt.Errorf(format, args...))
		})
	}
}

// A pattern is a text in which * stands for anything and ? for any one
// character, whatever the case; or /…/, a regular expression. It is compared in
// Unicode's form NFC, so that é is é however it was typed.
type pattern struct{ re *regexp.Regexp }

func (r *Rule) patterns(p *problems, field string, list []string) []pattern {
	var made []pattern
	for i, s := range list {
		fail := func(format string, args ...any) {
			p.add(false, r.at(field, i), "rule %s: %s: %q: %w", r.Name, field, s, fmt.Errorf(format, args...))
		}
		text := norm.NFC.String(s)
		expr := "(?is)^" + strings.NewReplacer(`\*`, ".*", `\?`, ".").Replace(regexp.QuoteMeta(text)) + "$"
		if inner, begins := strings.CutPrefix(text, "/"); begins {
			last := strings.LastIndexByte(inner, '/')
			if last < 0 {
				fail("a regular expression is written between two slashes, such as /^live/; for a text that begins with a slash write ?%s", inner)
				continue
			}
			if flags := inner[last+1:]; flags != "" {
				fail("nothing may follow the second slash; flags are written inside: /(?%s)%s/", flags, inner[:last])
				continue
			}
			if expr = inner[:last]; expr == "" {
				fail("the expression between the slashes is empty: write one, such as /^live/")
				continue
			}
		}
		re, err := regexp.Compile(expr)
		if err != nil {
			fail("%s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
			continue
		}
		made = append(made, pattern{re})
	}
	return made
}

func anyMatch(list []pattern, s string) bool {
	s = norm.NFC.String(s)
	return len(list) == 0 || slices.ContainsFunc(list, func(p pattern) bool { return p.re.MatchString(s) })
}

func anyOf[T comparable](list []T, ok func(T) bool) bool {
	return len(list) == 0 || slices.ContainsFunc(list, ok)
}

// LateBound returns the age from which an event is late.
func (r *Rule) LateBound() time.Duration { return cmp.Or(time.Duration(r.LateAfter), 10*time.Minute) }

// A Verdict says what a rule makes of an event.
type Verdict struct {
	Tell       bool    // the event itself
	Milestones []int64 // that it crosses
	Late       bool    // nothing is told, because the event is late
}

// Judge says what the rule makes of an event, at a time. An event of an end does
// not say what the count was before: that is counted, if it is known.
//
// A room crosses a milestone when its count was below it and is not any more. A
// room that is announced with a count has crossed all up to it, but one that was
// live before roomwatch first looked did so nobody knows when: it has crossed
// them only for a rule with baseline.
func (r *Rule) Judge(e events.Event, now time.Time, counted Count) Verdict {
	room := e.Data.Room
	switch {
	case !anyOf(r.Apps, func(a int) bool { return a == e.App() }),
		!anyOf(r.Categories, func(c int64) bool { return slices.Contains(room.Category, c) }),
		!anyMatch(r.owners, room.OwnerAccount), !anyMatch(r.names, room.RoomName),
		room.ViewCount < r.MinViews,
		e.Data.Baseline && !r.Baseline,
		e.Data.Gap && r.Gap != nil && !*r.Gap:
		return Verdict{}
	}
	v := Verdict{Tell: slices.Contains(r.Events, string(e.Type)), Milestones: r.crossed(e, counted)}
	if (v.Tell || len(v.Milestones) > 0) && !r.Late && now.Sub(e.Time) > r.LateBound() {
		return Verdict{Late: true}
	}
	return v
}

// A Count is the view count in the event of a room before the one that is judged.
type Count struct {
	Views int64
	Known bool
}

// crossed derives the milestones from any event whose count before is known.
func (r *Rule) crossed(e events.Event, counted Count) []int64 {
	var before int64
	switch {
	case e.Type == events.RoomCreated:
	case e.Data.Previous != nil && e.Data.Previous.ViewCount != nil:
		before = *e.Data.Previous.ViewCount
	case e.Type == events.RoomEnded && counted.Known:
		before = counted.Views
	default:
		return nil
	}
	var list []int64
	for _, m := range r.Milestones {
		if before < m && m <= e.Data.Room.ViewCount {
			list = append(list, m)
		}
	}
	return list
}

// Quiet are the hours of a day in which nothing is told at once.
type Quiet struct {
	From string `yaml:"from"` // 22:00
	To   string `yaml:"to"`   // 08:00; before From means the next day
	Zone string `yaml:"zone"` // as Asia/Shanghai

	from, to int // minutes of the day
	zone     *time.Location
}

// check tells of each field that makes no sense.
func (q *Quiet) check(fail func(field, format string, args ...any)) {
	bad := false
	minute := func(field, s string) int {
		t, err := time.Parse("15:04", s)
		if err != nil {
			bad = true
			fail(field, "%s is %q, not a time of day: write it as 22:00, in quotes", field, s)
			return 0
		}
		return t.Hour()*60 + t.Minute()
	}
	q.from, q.to = minute("from", q.From), minute("to", q.To)
	if !bad && q.from == q.to {
		fail("to", "from and to are both %s: remove quiet, or write two different times", q.From)
	}
	if q.Zone == "" {
		fail("zone", "zone is missing: write whose hours they are, such as Asia/Shanghai or UTC")
		return
	}
	var err error
	if q.zone, err = time.LoadLocation(q.Zone); err != nil {
		fail("zone", "zone: %w; write a name such as Asia/Shanghai or UTC", err)
	}
}

// At reports whether it is quiet at a time. The clock on the wall counts: when it
// is put back in a quiet hour, that hour is quiet twice.
func (q *Quiet) At(now time.Time) bool {
	if q == nil {
		return false
	}
	t := now.In(q.zone)
	m := t.Hour()*60 + t.Minute()
	if q.from < q.to {
		return q.from <= m && m < q.to
	}
	return m >= q.from || m < q.to
}
