package daemon

import (
	"context"
	"log/slog"
	"time"

	"roomwatch/cmd/roomwatch/web"
	"roomwatch/diff/retry"
)

// remind repeats in the log what is wrong with the daemon for long, until ctx is
// done. The parts log how it began and how it ended.
func (d *Daemon) remind(ctx context.Context) {
	tick := time.NewTicker(retry.RemindEvery)
	defer tick.Stop()
	var before map[string]bool
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			before = persisting(ctx, d.log, d.Status().Conditions, before)
		}
	}
}

// persisting logs the conditions that were there the last time, too, and returns
// which there are now. The connection to NATS repeats its own; a history that was
// lost stays lost.
func persisting(ctx context.Context, log *slog.Logger, now []web.Condition, before map[string]bool) map[string]bool {
	there := map[string]bool{}
	for _, c := range now {
		there[c.About] = true
		if !before[c.About] || c.About == "nats" || c.About == "history" {
			continue
		}
		level := slog.LevelWarn
		if c.Level == web.Failing {
			level = slog.LevelError
		}
		attrs := []any{"about", c.About, "error", c.Text}
		if c.Fix != "" { // else the error has it
			attrs = append(attrs, "fix", c.Fix)
		}
		log.Log(ctx, level, "problem persists", attrs...)
	}
	return there
}
