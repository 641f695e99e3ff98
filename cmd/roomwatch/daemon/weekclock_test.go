package daemon

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"roomwatch/diff"
)

// A wall is the wall clock of the machine of the daemon. It is set by hand; the
// monotonic clock goes on, as it does in a machine.
type wall struct {
	mu   sync.Mutex
	sets []wallSet // in order of time
}

type wallSet struct {
	at  time.Time
	off time.Duration // in whole seconds, from now on
}

func (w *wall) set(off time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sets = append(w.sets, wallSet{time.Now(), off})
}

// on returns a moment as that clock has shown it.
func (w *wall) on(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := len(w.sets) - 1; i >= 0; i-- {
		if !w.sets[i].at.After(t) {
			return setWall(t, w.sets[i].off)
		}
	}
	return setWall(t, 0)
}

// setWall moves the wall clock's part of a time by whole seconds and leaves the
// monotonic clock's as it is, which no exported function does. In a bubble times have
// no monotonic part; they get that of a clock that began with the year 2000, as the
// bubble's does.
func setWall(t time.Time, d time.Duration) time.Time {
	const (
		hasMonotonic = 1 << 63
		since1885    = 3_628_972_800 // seconds from then to 2000
	)
	mono := t.Sub(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC))
	parts := (*struct {
		wall uint64 // a bit, 33 bits of seconds since 1885, 30 bits of nanoseconds
		ext  int64
		loc  *time.Location
	})(unsafe.Pointer(&t))
	if parts.wall&hasMonotonic == 0 {
		seconds := since1885 + uint64(mono/time.Second)
		parts.wall, parts.ext = hasMonotonic|seconds<<30|uint64(mono%time.Second), int64(mono)+1
	}
	parts.wall += uint64(d/time.Second) << 30
	return t
}

// The trick of setWall holds in this version of Go, in a bubble and outside.
func TestSetWall(t *testing.T) {
	check := func(t *testing.T) {
		now := time.Now()
		for _, d := range []time.Duration{0, 2 * time.Hour, -2 * time.Hour} {
			moved, later := setWall(now, d), setWall(now.Add(time.Second), 0)
			if got := moved.Round(0).Sub(now.Round(0)); got != d || later.Sub(moved) != time.Second {
				t.Errorf("moved by %s: the wall clock by %s, the monotonic one by %s", d, got, time.Second-later.Sub(moved))
			}
		}
	}
	check(t)
	synctest.Test(t, check)
}

// A machineClock gives the daemon the times of its machine.
type machineClock struct {
	wall *wall
	sink
}

// Page implements [poller.Sink].
func (m machineClock) Page(ctx context.Context, p diff.Page) ([]diff.Room, error) {
	p.At, p.Begin = m.wall.on(p.At), m.wall.on(p.Begin)
	return m.sink.Page(ctx, p)
}

// Probe implements [poller.Sink].
func (m machineClock) Probe(ctx context.Context, p diff.Page) ([]diff.Room, error) {
	p.At, p.Begin = m.wall.on(p.At), m.wall.on(p.Begin)
	return m.sink.Probe(ctx, p)
}

// End implements [poller.Sink].
func (m machineClock) End(ctx context.Context, s diff.Sweep) (bool, error) {
	s.Begin, s.End = m.wall.on(s.Begin), m.wall.on(s.End)
	return m.sink.End(ctx, s)
}

// Read implements [poller.Answers].
func (m machineClock) Read(ctx context.Context, r diff.Read) error {
	r.Sent, r.At = m.wall.on(r.Sent), m.wall.on(r.At)
	return m.sink.Read(ctx, r)
}

// Control implements [poller.Answers].
func (m machineClock) Control(now time.Time) (string, bool) {
	return m.sink.Control(m.wall.on(now))
}
