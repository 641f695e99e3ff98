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
func (g *target) ready() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.is != down && g.is != throttled || !time.Now().Before(g.notBefore)
}

// become notes how the target does, and logs it when that changes. Throttled and
// up again are the everyday of a busy chat.
func (g *target) become(ctx context.Context, c condition, why string) {
	g.mu.Lock()
	was := g.is
	g.is = c
	if c == up || c == refusing {
		g.probing.Reset()
		g.throttling.Reset()
	}
	g.mu.Unlock()
	switch {
	case was == c:
	case c == up && was == throttled:
		g.log.DebugContext(ctx, "target no longer throttled")
	case c == up:
		g.log.InfoContext(ctx, "target up")
	case c == refusing:
		g.log.ErrorContext(ctx, "target refuses", "reason", why, "fix", "see what it says, then run `roomnotify resend`")
	case c == throttled:
		g.log.InfoContext(ctx, "target throttled", "reason", why)
	case c == down:
		g.log.WarnContext(ctx, "target down", "reason", why, "fix", "none is needed if it comes back: what it missed is kept, and told then")
	}
}

// goDown says that the target is down, and when it is tried again.
func (g *target) goDown(ctx context.Context, no *form.Refusal, tries int) {
	g.mu.Lock()
	g.notBefore = time.Now().Add(max(g.probing.NextBackOff(), no.After))
	g.mu.Unlock()
	g.become(ctx, down, fmt.Sprintf("after %d tries: %s", tries, no.Text))
}

// throttle leaves the target alone for as long as it asks, or for a growing
// pause if it does not say.
func (g *target) throttle(ctx context.Context, no *form.Refusal) {
	g.mu.Lock()
	after := no.After
	if after == 0 {
		after = g.throttling.NextBackOff()
	}
	if at := time.Now().Add(after); at.After(g.notBefore) {
		g.notBefore = at
	}
	g.mu.Unlock()
	g.become(ctx, throttled, no.Text)
}
