package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"roomwatch/cmd/roomnotify/form"
	"roomwatch/cmd/roomnotify/rules"
	"roomwatch/publisher/events"
)

const (
	milestoneExample = "milestone" // what `roomnotify test` calls form.Milestone, as rules do
	exampleApp       = 88888888
)

// examplesOf returns what a rule can tell, as `roomnotify test --event` names it; the
// first is what an example is of if nobody chooses.
func examplesOf(r *rules.Rule) []string {
	kinds := slices.Clone(r.Events)
	if len(r.Milestones) > 0 {
		kinds = append(kinds, milestoneExample)
	}
	if r.Watch {
		kinds = append(kinds, form.WatchStopped, form.WatchResumed)
	}
	return append(kinds, form.Summary)
}

// checkExample says what is wrong with a kind of example that somebody asks for.
func checkExample(r *rules.Rule, kind string) error {
	if kinds := examplesOf(r); !slices.Contains(kinds, kind) {
		return fmt.Errorf("%w: rule %s tells no %q: choose --event from %s", errConfig, r.Name, kind, strings.Join(kinds, ", "))
	}
	return nil
}

// example is what a rule would tell of a room that does not exist, or of an
// application; a kind is one of [examplesOf]. Its id is new each time, so that no
// receiver takes a second test for the first.
func example(r *rules.Rule, kind, target string, now time.Time) form.Notification {
	now = now.UTC().Truncate(time.Millisecond)
	var n form.Notification
	if kind == form.Summary {
		n = exampleDigest(r, target, now)
	} else {
		n = exampleOf(r, kind, target, now, 1)
	}
	n.Test = true
	return n
}

// exampleDigest has one item of each kind that the rule tells, at least two.
func exampleDigest(r *rules.Rule, target string, now time.Time) form.Notification {
	kinds := slices.DeleteFunc(examplesOf(r), func(k string) bool { return k == form.Summary })
	if len(kinds) == 1 {
		kinds = append(kinds, kinds[0])
	}
	d := form.Digest{Since: now.Add(-time.Hour), Until: now, Counts: map[string]int{}, Total: len(kinds)}
	for i, kind := range kinds {
		item := exampleOf(r, kind, target, now, i+1)
		d.Items = append(d.Items, item)
		d.Counts[item.Type]++
	}
	return form.NewDigest(d, r.Name, target, uint64(now.UnixMilli()))
}

// exampleOf is one example that is no digest; nth tells it from the others of a digest.
func exampleOf(r *rules.Rule, kind, target string, now time.Time, nth int) form.Notification {
	if kind == form.WatchStopped || kind == form.WatchResumed {
		w := form.Watch{App: exampleApp, Since: now.Add(-5 * time.Minute), Why: form.Silent}
		if kind == form.WatchResumed {
			w.Until, w.Why = now, "stopped"
		}
		return form.NewWatch(w, r.Name, target, now)
	}
	room := events.Room{
		RoomID: "example", RoomName: "An example of roomnotify", OwnerAccount: "nobody", Category: []int64{}, CreateTime: now.Add(-time.Hour).Unix(), ViewCount: 1,
	}
	if nth > 1 {
		room.RoomID = fmt.Sprintf("example-%d", nth)
	}
	e := events.Event{
		SpecVersion: "1.0", ID: fmt.Sprintf("TEST%d-%016d", now.UnixMilli(), nth), Source: fmt.Sprintf("/live/%d", exampleApp), Type: events.Type(kind), Subject: room.RoomID,
		Time: now, Sequence: fmt.Sprintf("%016d", nth), DataContentType: "application/json",
		Data: events.Data{Version: 2, Sweep: 1, Room: room},
	}
	var milestone int64
	switch e.Type {
	case events.RoomCreated:
		e.Data.Version = 1
	case events.RoomUpdated:
		before := "The name before"
		e.Data.Previous = &events.Previous{RoomName: &before}
	case milestoneExample:
		milestone = r.Milestones[0]
		before := milestone - 1
		e.Type, e.Data.Room.ViewCount, e.Data.Previous = events.ViewCountChanged, milestone, &events.Previous{ViewCount: &before}
	}
	return form.New(e, r.Name, target, milestone)
}
