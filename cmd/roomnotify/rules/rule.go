package rules

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"roomwatch/publisher/events"
)

// check looks whether the rule makes sense, and makes its patterns.
func (r *Rule) check(p *problems, targets []Target) {
	what := "rule " + r.Name
	p.add(nameForm.MatchString(r.Name), r.line, "rule %q: %s", r.Name, nameHint)
	p.add(len(r.Events) > 0 || len(r.Milestones) > 0, r.line, "%s: it has neither events nor milestones: it would tell nothing", what)
	known := []string{string(events.RoomCreated), string(events.RoomEnded), string(events.RoomUpdated)}
	for _, e := range r.Events {
		p.add(slices.Contains(known, e), r.line, "%s: events has %q: choose from %s; view counts are told by milestones", what, e, strings.Join(known, ", "))
	}
	for _, m := range r.Milestones {
		p.add(m > 0, r.line, "%s: milestones has %d: write view counts above 0", what, m)
	}
	slices.Sort(r.Milestones)
	r.Milestones = slices.Compact(r.Milestones)
	p.add(len(r.Targets) > 0, r.line, "%s: targets is missing: say who is told", what)
	for i, name := range r.Targets {
		found := slices.ContainsFunc(targets, func(t Target) bool { return t.Name == name })
		p.add(found, r.line, "%s: target %q is not under targets", what, name)
		p.add(!slices.Contains(r.Targets[:i], name), r.line, "%s: target %q is named twice", what, name)
	}
	p.add(r.MinViews >= 0, r.line, "%s: min_views is %d: write 0 or more", what, r.MinViews)
	p.add(r.Limit >= 0, r.line, "%s: limit is %d: write notifications a minute, or 0 for any number", what, r.Limit)
	r.owners = patterns(p, r.line, what+": owners", r.Owners)
	r.names = patterns(p, r.line, what+": names", r.Names)
	if r.Quiet != nil {
		if err := r.Quiet.check(); err != nil {
			p.add(false, r.line, "%s: quiet: %w", what, err)
		}
	}
}

// A pattern is a text in which * stands for anything and ? for any one
// character, whatever the case; or /…/, a regular expression.
type pattern struct{ re *regexp.Regexp }

func patterns(p *problems, line int, what string, list []string) []pattern {
	var made []pattern
	for _, s := range list {
		expr := "(?is)^" + strings.NewReplacer(`\*`, ".*", `\?`, ".").Replace(regexp.QuoteMeta(s)) + "$"
		if len(s) > 2 && s[0] == '/' && s[len(s)-1] == '/' {
			expr = s[1 : len(s)-1]
		}
		re, err := regexp.Compile(expr)
		if err != nil {
			p.add(false, line, "%s: %q: %w", what, s, err)
			continue
		}
		made = append(made, pattern{re})
	}
	return made
}

func anyMatch(list []pattern, s string) bool {
	return len(list) == 0 || slices.ContainsFunc(list, func(p pattern) bool { return p.re.MatchString(s) })
}

func anyOf[T comparable](list []T, ok func(T) bool) bool {
	return len(list) == 0 || slices.ContainsFunc(list, ok)
}

// A Verdict says what a rule makes of an event.
type Verdict struct {
	Tell       bool    // the event itself
	Milestones []int64 // that it crosses
	Late       bool    // nothing is told, because the event is late
}

// Judge says what the rule makes of an event, at a time.
//
// A room crosses a milestone when its count was below it and is not any more. A
// room that is announced with a count has crossed all up to it, but one that was
// live before roomwatch first looked did so nobody knows when: it has crossed
// them only for a rule with baseline.
func (r *Rule) Judge(e events.Event, now time.Time) Verdict {
	room := e.Data.Room
	switch {
	case !anyOf(r.Apps, func(a int) bool { return a == e.App() }),
		!anyOf(r.Categories, func(c int64) bool { return slices.Contains(room.Category, c) }),
		!anyMatch(r.owners, room.OwnerAccount), !anyMatch(r.names, room.RoomName),
		room.ViewCount < r.MinViews,
		e.Data.Baseline && !r.Baseline:
		return Verdict{}
	}
	v := Verdict{Tell: slices.Contains(r.Events, string(e.Type)), Milestones: r.crossed(e)}
	if (v.Tell || len(v.Milestones) > 0) && !r.Late && now.Sub(e.Time) > r.LateBound() {
		return Verdict{Late: true}
	}
	return v
}

func (r *Rule) crossed(e events.Event) []int64 {
	var before int64
	switch {
	case e.Type == events.RoomCreated:
	case e.Type == events.ViewCountChanged && e.Data.Previous != nil && e.Data.Previous.ViewCount != nil:
		before = *e.Data.Previous.ViewCount
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

func (q *Quiet) check() (err error) {
	minute := func(s string) (int, error) {
		t, err := time.Parse("15:04", s)
		if err != nil {
			return 0, fmt.Errorf("%q is no time of day: write it as 22:00, in quotes", s)
		}
		return t.Hour()*60 + t.Minute(), nil
	}
	if q.from, err = minute(q.From); err != nil {
		return fmt.Errorf("from: %w", err)
	}
	if q.to, err = minute(q.To); err != nil {
		return fmt.Errorf("to: %w", err)
	}
	if q.from == q.to {
		return fmt.Errorf("from and to are both %s: leave quiet away, or write two times", q.From)
	}
	if q.Zone == "" {
		return fmt.Errorf("zone is missing: write whose hours they are, such as Asia/Shanghai or UTC")
	}
	if q.zone, err = time.LoadLocation(q.Zone); err != nil {
		return fmt.Errorf("zone: %w; write a name such as Asia/Shanghai or UTC", err)
	}
	return nil
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
