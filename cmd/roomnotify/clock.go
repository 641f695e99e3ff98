package main

import (
	"context"
	"time"

	"roomwatch/diff/retry"
)

// A clock is the time in which a target works: that of the machine, or the one in
// which a dry run lets the past happen again.
type clock struct {
	now   func() time.Time
	pause func(ctx context.Context, d time.Duration) error // waits; an error if the end comes first
}

func machineClock() clock { return clock{time.Now, retry.Sleep} }

// awaitMultiple waits until the next whole multiple of a duration; false if the end
// comes first. What is done now and then is done at the same moments by everybody, so
// that a dry run finds the moments of the daemon.
func (c clock) awaitMultiple(ctx context.Context, d time.Duration) bool {
	now := c.now()
	return c.pause(ctx, now.Truncate(d).Add(d).Sub(now)) == nil
}
