package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"
)

// removed stands in metrics for all targets that no rule names; no target has
// such a name.
const removed = "_removed"

// A status is what a running roomnotify knows of itself, for probes and metrics.
type status struct {
	mu       sync.Mutex
	starting string            // why nothing is read yet; empty: it is
	away     func() error      // why NATS is away; nil, or returns nil: it is not
	unfit    map[string]string // streams that cannot be used, and why
	targets  map[string]*targetStatus
	stored   map[storedKey]storedCount
}

// A targetStatus is how it stands with one target.
type targetStatus struct {
	reading   bool   // this process reads its events
	standby   bool   // another one does
	why       string // neither
	condition func() condition
}

type storedKey struct{ target, part string }

type storedCount struct {
	count  uint64
	oldest time.Time // when it was stored; zero if there is none
}

func newStatus() *status {
	return &status{starting: "NATS was not reached yet", unfit: map[string]string{}, targets: map[string]*targetStatus{}, stored: map[storedKey]storedCount{}}
}

// waits notes why nothing is read.
func (s *status) waits(why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.starting = why.Error()
}

// connects notes how to learn whether NATS is away.
func (s *status) connects(away func() error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away = away
}

// begin notes which targets are told from now on.
func (s *status) begin(targets map[string]*target) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.starting, s.targets = "", map[string]*targetStatus{}
	for _, g := range targets {
		s.targets[g.t.Name] = &targetStatus{why: "its position in the events is not reached yet", condition: g.condition}
	}
}

// reads notes that the events of a target are read here.
func (s *status) reads(target string) { s.note(target, targetStatus{reading: true}) }

// standsBy notes that another process reads them.
func (s *status) standsBy(target string) { s.note(target, targetStatus{standby: true}) }

// stops notes why nobody reads them.
func (s *status) stops(target, why string) { s.note(target, targetStatus{why: why}) }

func (s *status) note(target string, is targetStatus) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.targets[target]; t != nil {
		is.condition = t.condition
		*t = is
	}
}

// stream notes whether a stream can be used.
func (s *status) stream(name string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if delete(s.unfit, name); err != nil {
		s.unfit[name] = err.Error()
	}
}

// readiness says why notifications are not sent, and what else is wrong. One target
// that is down is no reason: the others are told, and a restart does not help it.
func (s *status) readiness() (reasons, warnings []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.starting != "" {
		reasons = append(reasons, "no events are read: "+s.starting)
	}
	if s.away != nil && s.starting == "" {
		if err := s.away(); err != nil {
			reasons = append(reasons, "NATS is disconnected: "+err.Error())
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.unfit)) {
		reasons = append(reasons, fmt.Sprintf("stream %s cannot be used: %s", name, s.unfit[name]))
	}
	downs := 0
	for _, name := range slices.Sorted(maps.Keys(s.targets)) {
		t := s.targets[name]
		is := t.condition()
		if is == down {
			downs++
		}
		switch {
		case t.standby:
			warnings = append(warnings, fmt.Sprintf("target %s: another roomnotify sends to it, this one stands by", name))
		case !t.reading:
			reasons = append(reasons, fmt.Sprintf("target %s: its events are not read: %s", name, t.why))
		case is != up:
			warnings = append(warnings, fmt.Sprintf("target %s is %s", name, is))
		}
	}
	if downs > 0 && downs == len(s.targets) {
		reasons = append(reasons, "all targets are down")
	}
	return reasons, warnings
}

// kept notes what is on the store.
func (s *status) kept(stored map[storedKey]storedCount) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stored = stored
}

// survey counts what the store keeps, for each target that a rule names and for
// all others together. While it cannot be read the last count stays.
func (d *daemon) survey(ctx context.Context, s *store) {
	all := map[storedKey]storedCount{}
	for _, part := range parts() {
		for _, name := range append(d.told(), removed) {
			all[storedKey{name, part}] = storedCount{}
		}
	}
	list, err := s.waiting(ctx)
	for _, w := range list {
		var first *stored
		if first, err = s.next(ctx, s.subject(w.part, w.target, w.rule), 0); err != nil {
			break
		}
		if first == nil {
			continue // it was removed meanwhile
		}
		key := storedKey{w.target, w.part}
		if abandoned(d.file, w.target, w.rule) {
			key.target = removed
		}
		k := all[key]
		k.count += w.count
		if k.oldest.IsZero() || first.at.Before(k.oldest) {
			k.oldest = first.at
		}
		all[key] = k
	}
	if err != nil {
		d.log.DebugContext(ctx, "stored notifications cannot be counted", "error", err) // who sends them says so, too
		return
	}
	d.status.kept(all)
}

// told returns the names of the targets that a rule names.
func (d *daemon) told() []string {
	var names []string
	for _, t := range d.file.Targets {
		if len(d.file.Of(t.Name)) > 0 {
			names = append(names, t.Name)
		}
	}
	return names
}
