package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"roomwatch/cmd/roomnotify/form"
	"roomwatch/poller/simulator"
	"roomwatch/publisher/events"
)

// A shownExample is a rule file of the documentation, and what its text says.
type shownExample struct {
	path  string
	from  string                          // where it begins in the file
	to    string                          // where it ends; "": with the file
	wants map[string]func(happening) bool // by target: what it is told
	quiet map[string]bool                 // targets of which each rule for rooms is quiet at night
	limit int                             // notifications a minute of the rules that have one
}

// A happening is an event of the world: a room that began, ended or crossed a
// milestone, or an application that nobody watches any more, or again.
type happening struct {
	what       string // created, ended, the milestone, watch.stopped or watch.resumed
	room       string
	categories []int64
}

func (h happening) ofWatch() bool { return strings.HasPrefix(h.what, "watch.") }

func (h happening) String() string { return h.room + " " + h.what }

// Each rule file that the documentation shows tells what its text says of an evening
// and a night in the simulated world: nothing else, nothing twice, nothing too often and nothing
// at night.
func TestExamplesOfTheDocumentation(t *testing.T) {
	if testing.Short() { // under the race detector, for which it is long, and shows nothing that the others do not
		t.Skip("computes for minutes")
	}
	inCategories := func(h happening) bool {
		return h.ofWatch() || h.what != "ended" && (slices.Contains(h.categories, 1) || slices.Contains(h.categories, 2))
	}
	for _, ex := range []shownExample{
		{path: "README.md", from: "```yaml\ntargets:", to: "```", wants: map[string]func(happening) bool{"team": inCategories}, quiet: map[string]bool{"team": true}, limit: 10},
		{path: filepath.Join("..", "..", "deploy", "roomnotify", "rules.yaml"), from: "\ntargets:", wants: map[string]func(happening) bool{
			"hook": func(h happening) bool { return !h.ofWatch() },
			"team": func(h happening) bool { return h.what != "ended" },
		}, limit: 10},
	} {
		t.Run(filepath.Base(ex.path), func(t *testing.T) {
			text, err := os.ReadFile(ex.path)
			if err != nil {
				t.Fatal(err)
			}
			_, file, found := strings.Cut(string(text), ex.from)
			if ex.to != "" {
				file, _, _ = strings.Cut(file, ex.to)
			}
			if !found {
				t.Fatalf("%s has no example", ex.path)
			}
			inBubble(t, asWebhooks("targets:"+file), func(r *rig) {
				time.Sleep(12 * time.Hour) // it is 20:00 in Shanghai
				stop := r.start()
				happened := liveANight(r)
				r.pulse(88888888, time.Hour) // in the morning, what was held back at night is told
				for target, wants := range ex.wants {
					var want []string
					for _, h := range happened {
						if wants(h) {
							want = append(want, h.String())
						}
					}
					slices.Sort(want)
					if got := r.toldTo(target); !slices.Equal(got, want) {
						t.Errorf("%s is told %d things, want %d; not told %v, not wanted %v", target, len(got), len(want), without(want, got), without(got, want))
					}
					if len(want) < 50 {
						t.Errorf("only %v are for %s: the example tells next to nothing", want, target)
					}
					r.keepsTo(ex, target)
				}
				stop()
			})
		})
	}
}

// asWebhooks makes all targets of a file generic ones, whose bodies have
// everything; the rules stay as they are.
func asWebhooks(file string) string {
	targets, rules, _ := strings.Cut(file, "\nrules:")
	b := strings.Builder{}
	b.WriteString("targets:\n")
	for _, m := range regexp.MustCompile(`(?m)^  ([a-z]+):`).FindAllStringSubmatch(targets, -1) {
		b.WriteString(hook(m[1], ""))
	}
	return b.String() + "rules:" + rules
}

// liveANight lets the simulated world live for an evening, with a wave of new rooms,
// and a night, publishes what it shows every five minutes, and returns what
// happened.
func liveANight(r *rig) []happening {
	r.t.Helper()
	world, err := simulator.New(simulator.Config{SDKAppID: 88888888, SecretKey: "key", Seed: 1, Rooms: 20, Opens: 0.005, Enters: 12, Recreates: 0.0005})
	if err != nil {
		r.t.Fatal(err)
	}
	var list []happening
	known := map[string]simulator.Life{}
	key := func(l simulator.Life) string { return fmt.Sprintf("%s@%d", l.RoomID, l.CreateTime) }
	for i := range 12 * 12 {
		if i == 60 {
			list = append(list, r.interruptWatch()...)
		} else {
			r.pulse(88888888, 5*time.Minute)
		}
		for n := 0; i == 12 && n < 40; n++ {
			if err := world.Open(fmt.Sprintf("wave_%d", n)); err != nil {
				r.t.Fatal(err)
			}
		}
		lives := world.Truth().Lives
		for _, l := range lives { // ends come first, in their order
			was, seen := known[key(l)]
			switch {
			case seen && !was.Ended.IsZero(), seen && l.Ended.IsZero() && l.ViewCount == was.ViewCount, !seen && !l.Ended.IsZero():
				continue // nothing new, or never seen
			}
			known[key(l)] = l
			e := r.eventOf(l, was, seen)
			r.publish(e)
			h := happening{what: strings.TrimPrefix(string(e.Type), "room."), room: key(l), categories: l.Category}
			if e.Type != events.ViewCountChanged {
				list = append(list, h)
			}
			for _, m := range []int64{1000, 10000} {
				if was.ViewCount < m && m <= l.ViewCount {
					h.what = fmt.Sprint(m)
					list = append(list, h)
				}
			}
		}
	}
	return list
}

// interruptWatch is five minutes in which nobody watches.
func (r *rig) interruptWatch() []happening {
	from := time.Now()
	time.Sleep(5 * time.Minute)
	r.resumed(88888888, from, time.Now(), "stopped")
	return []happening{{what: form.WatchStopped, room: "88888888"}, {what: form.WatchResumed, room: "88888888"}}
}

func (r *rig) eventOf(l, was simulator.Life, seen bool) events.Event {
	r.seq++
	e := roomEvent(r.seq, l.RoomID, time.Now())
	e.Data.Room = events.Room{RoomID: l.RoomID, RoomName: l.RoomName, OwnerAccount: l.Owner, Category: l.Category, CreateTime: l.CreateTime, ViewCount: l.ViewCount}
	if e.Data.Room.Category == nil {
		e.Data.Room.Category = []int64{}
	}
	switch {
	case !l.Ended.IsZero():
		e.Type, e.Data.Version = events.RoomEnded, 3
	case seen:
		e.Type, e.Data.Version, e.Data.Previous = events.ViewCountChanged, 2, &events.Previous{ViewCount: &was.ViewCount}
	}
	return e
}

// toldTo returns what a target was told, each thing by itself, in digests or alone.
func (r *rig) toldTo(target string) []string {
	r.t.Helper()
	type item struct {
		Type      string
		Milestone int64
		Event     *events.Event
		Watch     *form.Watch
	}
	var list []string
	for _, q := range r.to.requests(target + ".example") {
		var p struct {
			item
			Data struct {
				item
				Items []item
			}
		}
		if err := json.Unmarshal([]byte(q.body), &p); err != nil {
			r.t.Fatal(err)
		}
		items := p.Data.Items
		if p.Type != "digest" {
			p.Data.Type = p.Type
			items = []item{p.Data.item}
		}
		for _, i := range items {
			what := strings.TrimPrefix(i.Type, "room.")
			if i.Watch != nil {
				list = append(list, fmt.Sprintf("%d %s", i.Watch.App, i.Type))
				continue
			}
			if i.Milestone > 0 {
				what = fmt.Sprint(i.Milestone)
			}
			list = append(list, fmt.Sprintf("%s@%d %s", i.Event.Data.Room.RoomID, i.Event.Data.Room.CreateTime, what))
		}
	}
	slices.Sort(list)
	return list
}

// keepsTo checks the limit of each rule that has one, and its quiet hours.
func (r *rig) keepsTo(ex shownExample, target string) {
	r.t.Helper()
	shanghai, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		r.t.Fatal(err)
	}
	for _, rule := range r.file.Of(target) {
		var at []time.Time
		for _, q := range r.to.requests(target + ".example") {
			if !strings.Contains(q.id, "_"+target+"_"+rule.Name) {
				continue
			}
			at = append(at, q.at)
			if hour := q.at.In(shanghai).Hour(); rule.Quiet != nil && (hour >= 22 || hour < 8) {
				r.t.Errorf("rule %s tells %s at %s", rule.Name, target, q.at.In(shanghai).Format(time.TimeOnly))
			}
		}
		if ex.quiet[target] && rule.Quiet == nil && !rule.Watch {
			r.t.Errorf("rule %s has no quiet hours, and its text says so", rule.Name)
		}
		for i := ex.limit; rule.Limit > 0 && i < len(at); i++ {
			if d := at[i].Sub(at[i-ex.limit]); d < time.Minute {
				r.t.Errorf("rule %s tells %d things within %s", rule.Name, ex.limit+1, d)
			}
		}
	}
}

func without(list, others []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return slices.Contains(others, s) })
}
