package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/cmd/roomnotify/form"
)

// judge compares what was told and what is kept with what happened.
func (s *storm) judge() {
	s.t.Helper()
	live, err := s.b.js.Stream(s.t.Context(), "LIVE")
	if err != nil {
		s.t.Fatal(err)
	}
	if last := live.CachedInfo().State.LastSeq; last != uint64(s.events) {
		s.t.Fatalf("the stream has %d messages, want %d: no event has the number of its message", last, s.events)
	}
	kept := s.kept()
	for _, name := range stormTargets {
		s.targets[name].mu.Lock() // its last answers may have been written a moment ago
		v := &verdict{storm: s, g: s.targets[name], kept: kept[name], events: map[int]int{}, stored: map[int]map[string]bool{}}
		for n := 1; n <= s.events; n++ {
			v.lost(n)
			v.doubled(n)
		}
		v.inOrder()
		v.perKill()
		v.sane()
		s.t.Log(v)
		v.g.mu.Unlock()
	}
	if s.peak > stormMemory {
		s.t.Errorf("the process had %d MiB, want at most %d", s.peak, stormMemory)
	}
	s.t.Logf("%d events in %s, killed %d times, done after %s, at most %d MiB", s.events, s.took.Round(time.Second), len(s.kills), time.Since(s.began).Round(time.Second), s.peak)
	if s.t.Failed() {
		s.t.Log(tailOf(s.log.String(), 60))
	}
}

func tailOf(text string, lines int) string {
	list := strings.Split(text, "\n")
	return strings.Join(list[max(0, len(list)-lines):], "\n")
}

// kept is how often the store has each event, by part.
type keptEvents map[string]map[int]int

// kept reads the store.
func (s *storm) kept() map[string]keptEvents {
	s.t.Helper()
	all := map[string]keptEvents{}
	for _, name := range stormTargets {
		all[name] = keptEvents{heldPart: {}, waitingPart: {}, deadPart: {}}
	}
	c, err := s.b.js.OrderedConsumer(s.t.Context(), "NOTIFY", jetstream.OrderedConsumerConfig{FilterSubjects: []string{"notify.held.>", "notify.waiting.>", "notify.dead.>"}})
	if err != nil {
		s.t.Fatal(err)
	}
	info, err := c.Info(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	for range info.NumPending {
		m, err := c.Next()
		if err != nil {
			s.t.Fatal(err)
		}
		var n form.Notification
		if err := json.Unmarshal(m.Data(), &n); err != nil {
			s.t.Fatal(err)
		}
		part := strings.Split(m.Subject(), ".")[1]
		items := []form.Notification{n}
		if n.Digest != nil {
			items = n.Digest.Items
		}
		for _, item := range items {
			number, err := strconv.Atoi(item.Event.Sequence)
			if err != nil {
				s.t.Fatal(err)
			}
			all[n.Target][part][number]++
		}
	}
	return all
}

// A verdict is about one target.
type verdict struct {
	*storm
	g      *stormTarget
	kept   keptEvents
	wrong  int
	events map[int]int             // told again after a kill: events that were not acknowledged, by kill
	stored map[int]map[string]bool // the same of what came from the store: ids of requests
}

func (v *verdict) errorf(format string, args ...any) {
	if v.wrong++; v.wrong <= 5 {
		v.t.Errorf(v.g.name+": "+format, args...)
	}
}

// lost sees that an event was told, or is kept where it must be.
func (v *verdict) lost(n int) {
	told, held, waiting, dead := len(v.g.told[n]) > 0, v.kept[heldPart][n], v.kept[waitingPart][n], v.kept[deadPart][n]
	ok := false
	switch v.g.name {
	case "hang":
		ok = !told && waiting == 1 && held == 0 && dead == 0
	case "dead":
		ok = (told && waiting == 0 || waiting == 1) && held == 0 && dead == 0
		if told && waiting == 1 {
			v.again(n, v.g.told[n][len(v.g.told[n])-1], heard{at: time.Now(), request: "waiting"})
		}
	case "refuse":
		refused := n == v.g.stormRefused()
		ok = told != refused && (dead == 1) == refused && held == 0 && waiting == 0
	case "limited":
		ok = waiting == 0 && dead == 0 && (told && held <= 1 || held == 1) && (held == 0 || !v.full)
		if told && held == 1 {
			v.again(n, v.g.told[n][len(v.g.told[n])-1], heard{at: time.Now(), request: "held"})
		}
	default:
		ok = told && held == 0 && waiting == 0 && dead == 0
	}
	if !ok {
		v.errorf("event %d: told %d times, held %d, waiting %d, dead %d", n, len(v.g.told[n]), held, waiting, dead)
	}
}

// doubled sees that an event that was told again was on its way at a kill, and says
// the same.
func (v *verdict) doubled(n int) {
	list := v.g.told[n]
	for i := 1; i < len(list); i++ {
		before, after := list[i-1], list[i]
		if before.request == after.request && before.sum != after.sum {
			v.errorf("event %d: request %s says two things", n, after.request)
		}
		v.again(n, before, after)
	}
}

// again looks for the kill between two tellings of an event, and notes why the first
// of them was not known after it.
func (v *verdict) again(n int, before, after heard) {
	i := slices.IndexFunc(v.kills, func(k kill) bool { return k.at.After(before.at) })
	if i < 0 || v.kills[i].at.After(after.at) {
		v.errorf("event %d was told at %s and again at %s, and roomnotify was not killed between", n, before.at.Format(time.TimeOnly), after.at.Format(time.TimeOnly))
		return
	}
	if w := v.kills[i].windows[v.g.name]; uint64(n) > w.floor && uint64(n) <= w.delivered {
		v.events[i]++
		return
	}
	if v.stored[i] == nil {
		v.stored[i] = map[string]bool{}
	}
	v.stored[i][before.request] = true
}

// perKill sees that no more was told again after a kill than can have been on its way:
// events whose request or acknowledgement was, and of what had waited one notification
// for each request at a time.
func (v *verdict) perKill() {
	workers := 8
	if v.g.name == "chat" {
		workers = 1
	}
	for i, n := range v.events {
		if pending := v.kills[i].windows[v.g.name].pending; n > min(pending, 4*workers) {
			v.errorf("%d events were told again after kill %d: more than were on their way with %d requests at a time; %d were not acknowledged", n, i, workers, pending)
		}
	}
	keeps := v.g.name == "throttle" || v.g.name == "limited"
	for i, ids := range v.stored {
		if !keeps || len(ids) > workers {
			v.errorf("after kill %d was told again what had been told and acknowledged: %v", i, slices.Collect(maps.Keys(ids)))
		}
	}
}

// inOrder sees that the target was told the events of each room in their order, but for
// those that it was told already, and no more than its limit.
func (v *verdict) inOrder() {
	last := map[int]int{} // by room
	for n := 1; n <= v.storm.events; n++ {
		if list := v.g.told[n]; len(list) > 0 {
			room := n % stormRooms
			if list[0].order < last[room] {
				v.errorf("event %d of room %d was told before one that was earlier", n, room)
			}
			last[room] = list[0].order
		}
	}
	if v.g.name != "limited" {
		return
	}
	requests := v.g.requests
	for i := range requests[:max(0, len(requests)-stormLimit)] {
		from, to := requests[i], requests[i+stormLimit]
		alive := !slices.ContainsFunc(v.kills, func(k kill) bool { return k.at.After(from) && k.at.Before(to) })
		if took := to.Sub(from); alive && took < 55*time.Second {
			v.errorf("%d requests in %s, and the limit is %d a minute", stormLimit+1, took, stormLimit)
		}
	}
}

// sane sees that the target did what it is there for.
func (v *verdict) sane() {
	switch g := v.g; g.name {
	case "hang", "throttle", "dead", "refuse":
		if g.refused == 0 {
			v.errorf("it took everything: the storm shows nothing of it")
		}
	case "limited":
		if g.digests == 0 && v.full {
			v.errorf("it was told no digest: the storm shows nothing of its limit")
		}
	}
}

func (v *verdict) String() string {
	events, most, stored := 0, 0, 0
	for _, n := range v.events {
		events += n
		most = max(most, n)
	}
	for _, ids := range v.stored {
		stored += len(ids)
	}
	return fmt.Sprintf("%-8s told %d of %d events in %d requests (%d digests), did not take %d; keeps waiting %d, held %d, dead %d; told again after kills: events not acknowledged %d (at most %d after one kill), from the store %d",
		v.g.name, len(v.g.told), v.storm.events, len(v.g.requests), v.g.digests, v.g.refused, len(v.kept[waitingPart]), len(v.kept[heldPart]), len(v.kept[deadPart]), events, most, stored)
}
