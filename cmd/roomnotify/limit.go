package main

import (
	"time"

	"golang.org/x/time/rate"

	"roomwatch/cmd/roomnotify/rules"
)

// A window lets so many notifications pass in any minute: those at the end of
// one minute count in the beginning of the next, as they do for the services.
// After a restart it begins again.
type window struct {
	limit  int         // 0: any number
	passed []time.Time // the newest, up to limit, as a ring
	oldest int
}

// due is when the next notification may pass.
func (w *window) due(now time.Time) time.Time {
	if w.limit == 0 || len(w.passed) < w.limit {
		return now
	}
	return w.passed[w.oldest].Add(time.Minute)
}

func (w *window) take(now time.Time) {
	switch {
	case w.limit == 0:
	case len(w.passed) < w.limit:
		w.passed = append(w.passed, now)
	default:
		w.passed[w.oldest] = now
		w.oldest = (w.oldest + 1) % len(w.passed)
	}
}

// newPace returns the limit of a target by the second, which delays and holds
// nothing back.
func newPace(t *rules.Target) *rate.Limiter {
	if n := t.PerSecond(); n > 0 {
		return rate.NewLimiter(rate.Limit(n), 1)
	}
	return rate.NewLimiter(rate.Inf, 1)
}
