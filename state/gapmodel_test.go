package state

import (
	"slices"
	"time"

	"pgregory.net/rapid"

	"roomwatch/diff"
)

// A modelReading is when the list was read: by this process, in its order.
type modelReading struct {
	sweep       uint64 // of the newest page
	began, page time.Time
}

// unwatched reports whether the time from a to b is too long without a complete sweep.
func (m *model) unwatched(a, b time.Time) bool {
	sweep := m.history.End.Sub(m.history.Begin)
	return !a.IsZero() && b.Sub(a) > 2*time.Minute && b.Sub(a) > 2*sweep && b.Sub(a) > 2*m.policy.Interval
}

func (m *model) read(p diff.Page) {
	switch r := &m.reading; {
	case r.sweep != m.sweep:
		*r = modelReading{m.sweep, p.Begin, p.At}
	case m.unwatched(r.page, p.At):
		r.began, r.page = p.At, p.At
	default:
		r.page = p.At
	}
}

// inGap reports whether the change may have happened while nobody watched.
func (m *model) inGap(e diff.Event, now time.Time) bool {
	end, until := m.gapTo, m.history.End
	switch {
	case m.unwatched(until, m.reading.began):
		end = m.reading.began
	case m.unwatched(until, now) && (m.reading.page.IsZero() || m.unwatched(m.reading.page, now)):
		end = now
	}
	return !e.Since.IsZero() && e.Since.Before(end)
}

func (m *model) endGap(sw diff.Sweep) {
	began := sw.Begin
	if m.reading.sweep == m.sweep {
		began = m.reading.began
	}
	if m.unwatched(m.history.End, began) {
		m.gapTo = began
		m.gaps = append(m.gaps, diff.Gap{From: m.history.End, To: began})
	}
}

func (t *modelTest) checkGaps(rt *rapid.T) {
	var got []diff.Gap
	for _, g := range t.s.gaps {
		got = append(got, g.gap())
	}
	if !slices.Equal(got, t.m.gaps) {
		rt.Fatalf("gaps %v, want %v", got, t.m.gaps)
	}
}
