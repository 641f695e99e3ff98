package main

import (
	"maps"
	"slices"
	"sync"
)

// A status is what a running roomaudit knows of itself besides its trail.
type status struct {
	mu        sync.Mutex
	recording string            // why nothing is recorded; empty: it is
	failing   map[string]string // why a duty of the upkeep is not done
	pending   uint64            // messages of the stream that were not on record when it was last asked
}

func newStatus() *status {
	return &status{recording: "NATS was not reached yet", failing: map[string]string{}}
}

func (s *status) record(failing string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.recording = failing
}

func (s *status) waiting(pending uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pending = pending
}

func (s *status) lag() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pending
}

// duty notes why a duty is not done, empty if it is, and returns what was noted before.
func (s *status) duty(name, failing string) (before string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before = s.failing[name]
	if s.failing[name] = failing; failing == "" {
		delete(s.failing, name)
	}
	return before
}

// readiness says why nothing is recorded, and what else is wrong.
func (s *status) readiness() (reasons, warnings []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.recording != "" {
		reasons = append(reasons, "nothing is recorded: "+s.recording)
	}
	for _, name := range slices.Sorted(maps.Keys(s.failing)) {
		warnings = append(warnings, "cannot "+name+": "+s.failing[name])
	}
	return reasons, warnings
}
