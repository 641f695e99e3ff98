package main

import (
	"context"
	"fmt"
	"time"

	"roomwatch/cmd/roomnotify/form"
)

// A condition is how a target does.
type condition string

const (
	up        condition = "up"
	refusing  condition = "refusing"  // it answers, and does not take what it is sent
	throttled condition = "throttled" // it works, and asks to be left alone for a while
	down      condition = "down"
)

func (g *target) condition() condition {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.is
}

// ready reports whether the target may be tried now.
func (g *target) ready() bool { return g.unready(g.now()) == "" }

// unready says why the target may not be tried at a time; empty if it may.
func (g *target) unready(now time.Time) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case (g.is == down || g.is == throttled) && now.Before(g.notBefore):
		return fmt.Sprintf("the target was %s already", g.is)
	case now.Before(g.asked):
		return "the target asked for a pause"
	}
	return ""
}

// answers notes that the target answered a request that began at a time: it is up
// or refusing. An answer to a request that began before the target became
// throttled or down does not say that this is over.
func (g *target) answers(ctx context.Context, c condition, why string, began time.Time) {
	g.mu.Lock()
	stale := (g.is == throttled || g.is == down) && !began.After(g.since)
	g.mu.Unlock()
	if !stale {
		g.become(ctx, c, why)
	}
}

// become notes how the target does, and logs it when that changes, and now and then
// while it is down. Throttled and up again are the everyday of a busy chat.
func (g *target) become(ctx context.Context, c condition, why string) {
	g.mu.Lock()
	was := g.is
	g.is = c
	if c == down && was != down {
		g.downAt = g.now()
	}
	since, told := g.downAt, c == down && (was != down || g.again.Due())
	if told {
		g.again.Said()
	}
	if c == up || c == refusing {
		g.probing.Reset()
		g.throttling.Reset()
	} else {
		g.since = g.now()
	}
	g.mu.Unlock()
	switch {
	case told && was == down:
		g.log.WarnContext(ctx, "target still down", "since", since.UTC().Truncate(time.Second), "reason", why, "fix", "check that it runs and can be reached; missed notifications are stored, and sent then")
	case told:
		g.log.WarnContext(ctx, "target down", "reason", why, "fix", "none is needed if it comes back: missed notifications are stored, and sent then")
	case was == c:
	case c == up && was == throttled:
		g.log.DebugContext(ctx, "target no longer throttled")
	case c == up:
		g.log.InfoContext(ctx, "target up")
	case c == refusing:
		g.log.ErrorContext(ctx, "target refuses", "reason", why, "fix", "see what it says, then run `roomnotify resend`")
	case c == throttled:
		g.log.InfoContext(ctx, "target throttled", "reason", why)
	}
}

// goDown says that the target is down, and when it is retried.
func (g *target) goDown(ctx context.Context, no *form.Refusal, tries int) {
	g.mu.Lock()
	g.notBefore = g.now().Add(g.probing.NextBackOff())
	g.mu.Unlock()
	g.become(ctx, down, fmt.Sprintf("after %d tries: %s", tries, no.Text))
}

// throttle leaves the target alone for as long as it asks, or for a growing
// pause if it does not say.
func (g *target) throttle(ctx context.Context, no *form.Refusal) {
	if no.After == 0 {
		g.mu.Lock()
		if at := g.now().Add(g.throttling.NextBackOff()); at.After(g.notBefore) {
			g.notBefore = at
		}
		g.mu.Unlock()
	}
	g.become(ctx, throttled, no.Text)
}

// heed notes for how long the target asks to be left alone, whatever else its
// answer says. Nothing that it answers to an earlier request shortens that.
func (g *target) heed(no *form.Refusal) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if at := g.now().Add(no.After); no.After > 0 && at.After(g.asked) {
		g.asked = at
	}
}
