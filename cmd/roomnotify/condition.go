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
	up       condition = "up"
	refusing condition = "refusing" // it answers, and does not take what it is sent
	down     condition = "down"
)

func (g *target) condition() condition {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.is
}

// become notes how the target does, and logs it when that changes.
func (g *target) become(ctx context.Context, c condition, why string) {
	g.mu.Lock()
	was := g.is
	g.is = c
	if c != down {
		g.probing.Reset()
	}
	g.mu.Unlock()
	switch {
	case was == c:
	case c == up:
		g.log.InfoContext(ctx, "target up")
	case c == refusing:
		g.log.ErrorContext(ctx, "target refuses", "reason", why, "mend", "see what it says, then run `roomnotify resend`")
	case c == down:
		g.log.WarnContext(ctx, "target down", "reason", why, "mend", "none is needed if it comes back: what it missed is kept, and told then")
	}
}

// goDown says that the target is down, and when it is tried again.
func (g *target) goDown(ctx context.Context, no *form.Refusal, tries int) {
	g.mu.Lock()
	g.probeAt = time.Now().Add(max(g.probing.NextBackOff(), no.After))
	g.mu.Unlock()
	g.become(ctx, down, fmt.Sprintf("after %d tries: %s", tries, no.Text))
}
