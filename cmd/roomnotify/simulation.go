package main

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// errPast ends what waits for a moment after the end of a simulation.
var errPast = errors.New("the simulated time is over")

// A simulation lets loops work in a time of its own. One of them works at a time; when
// it pauses, time is at once what the one that is due first waits for.
type simulation struct {
	mu       sync.Mutex
	time     time.Time
	end      time.Time // nothing happens after it
	sleeping []*sleeper
	all      sync.WaitGroup
}

// A sleeper is a loop that waits for its moment.
type sleeper struct {
	at   time.Time
	wake chan error
}

// simulate runs loops from one time to another, and returns when all have ended. Of
// those that are due at once the one that has waited for longest works first.
func simulate(from, end time.Time, loops func(c clock) []func()) {
	s := &simulation{time: from, end: end}
	list := loops(clock{now: s.now, pause: s.pause})
	for _, loop := range list {
		w := s.sleep(from)
		s.all.Go(func() {
			if <-w.wake == nil {
				loop()
			}
			s.next()
		})
	}
	s.next()
	s.all.Wait()
}

func (s *simulation) now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.time
}

// pause implements [clock.pause].
func (s *simulation) pause(ctx context.Context, d time.Duration) error {
	if ctx.Err() != nil || d <= 0 {
		return ctx.Err()
	}
	w := s.sleep(s.now().Add(d))
	s.next()
	if err := <-w.wake; err != nil {
		return err
	}
	return ctx.Err()
}

func (s *simulation) sleep(at time.Time) *sleeper {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := &sleeper{at: at, wake: make(chan error, 1)}
	s.sleeping = append(s.sleeping, w)
	return w
}

// next wakes the loop that is due first. Time never runs backwards.
func (s *simulation) next() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.sleeping) == 0 {
		return
	}
	first := 0
	for i, w := range s.sleeping {
		if w.at.Before(s.sleeping[first].at) {
			first = i
		}
	}
	w := s.sleeping[first]
	s.sleeping = slices.Delete(s.sleeping, first, first+1)
	if w.at.After(s.end) {
		s.time = s.end
		w.wake <- errPast
		return
	}
	s.time = w.at
	w.wake <- nil
}
