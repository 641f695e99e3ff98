package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"roomwatch/cmd/roomnotify/form"
	"roomwatch/publisher/events"
)

// A memory keeps for a dry run what the [store] keeps for the daemon. It is used by one
// loop of a simulation at a time, and never fails.
type memory struct {
	clock  clock
	seq    uint64
	kept   map[string][]*stored // by subject, in order
	last   map[string]uint64    // boundaries of digests
	by     map[string]string    // which event has told a milestone
	silent map[string]silence
}

func newMemory(c clock) *memory {
	return &memory{clock: c, kept: map[string][]*stored{}, last: map[string]uint64{}, by: map[string]string{}, silent: map[string]silence{}}
}

func (m *memory) subject(parts ...string) string { return strings.Join(parts, ".") }

func (m *memory) keep(part string, n form.Notification, reason string) (uint64, error) {
	body, err := json.Marshal(n)
	if err != nil {
		return 0, fmt.Errorf("keep notification %s: %w", n.ID, err)
	}
	m.seq++
	s := &stored{seq: m.seq, subject: m.subject(part, n.Target, n.Rule), at: m.clock.now(), size: len(body), reason: reason, n: n}
	m.kept[s.subject] = append(m.kept[s.subject], s)
	return m.seq, nil
}

func (m *memory) hold(_ context.Context, n form.Notification, _ uint64) error {
	_, err := m.keep(heldPart, n, "")
	return err
}

func (m *memory) wait(_ context.Context, n form.Notification, reason string, _ uint64) (uint64, error) {
	return m.keep(waitingPart, n, reason)
}

func (m *memory) setAside(_ context.Context, n form.Notification, reason string, _ uint64) error {
	_, err := m.keep(deadPart, n, reason)
	return err
}

func (m *memory) next(_ context.Context, subject string, from uint64) (*stored, error) {
	list := m.kept[subject]
	i, _ := slices.BinarySearchFunc(list, from, func(s *stored, from uint64) int { return int(s.seq) - int(from) })
	if i == len(list) {
		return nil, nil
	}
	return list[i], nil
}

func (m *memory) remove(_ context.Context, s *stored) error {
	m.kept[s.subject] = slices.DeleteFunc(m.kept[s.subject], func(k *stored) bool { return k == s })
	return nil
}

func (m *memory) drop(_ context.Context, subject string, last uint64) error {
	m.kept[subject] = slices.DeleteFunc(m.kept[subject], func(k *stored) bool { return k.seq <= last })
	return nil
}

func (m *memory) boundary(_ context.Context, target, rule string) (uint64, error) {
	return m.last[m.subject(target, rule)], nil
}

func (m *memory) setBoundary(_ context.Context, target, rule string, last uint64) error {
	m.last[m.subject(target, rule)] = last
	return nil
}

func (m *memory) told(_ context.Context, target, rule string, e events.Event, milestone int64) (bool, error) {
	key := m.subject(target, rule, life(e), strconv.FormatInt(milestone, 10))
	if by, known := m.by[key]; known {
		return by == e.ID, nil
	}
	m.by[key] = e.ID
	return true, nil
}

func silenceKey(target, rule string, app int) string {
	return fmt.Sprintf("%s.%s.%d", target, rule, app)
}

func (m *memory) silence(_ context.Context, target, rule string, app int) (*silence, error) {
	was, known := m.silent[silenceKey(target, rule, app)]
	if !known {
		return nil, nil
	}
	return &was, nil
}

func (m *memory) noteSilence(_ context.Context, target, rule string, app int, now silence) error {
	m.silent[silenceKey(target, rule, app)] = now
	return nil
}

func (m *memory) endSilence(_ context.Context, target, rule string, app int) error {
	delete(m.silent, silenceKey(target, rule, app))
	return nil
}

// held returns how many notifications are held back by a rule, or by all.
func (m *memory) held() (n int) {
	for subject, list := range m.kept {
		if strings.HasPrefix(subject, heldPart+".") {
			n += len(list)
		}
	}
	return n
}
