package daemon

import (
	"context"
	"time"

	"roomwatch/publisher"
)

const (
	embeddedPatience = 30 * time.Second // see [Daemon]
	embeddedMost     = 10 * time.Minute // to which it doubles
)

// tend starts the server anew when it is up and stores nothing, until ctx is done.
// After an error of its disk, such as one without room, nats-server writes no
// more to a stream, whatever becomes of the disk; only a start makes it look again.
// Nothing is lost by it: what was not acknowledged waits in the outbox, and the
// publisher asks the new server how far it came.
//
// While the disk takes no files the server is left alone: it would not start, and
// as it is, its events can be read.
func (e *embedded) tend(ctx context.Context, patience time.Duration, status func() publisher.Status) {
	look := time.NewTicker(patience / 10)
	defer look.Stop()
	wait, started := patience, time.Time{}
	for {
		select {
		case <-look.C:
		case <-ctx.Done():
			return
		}
		s := status()
		if s.LastError == nil {
			wait = patience
			continue
		}
		since := s.LastErrorSince
		if started.After(since) {
			since = started
		}
		if !e.stuck(s) || time.Since(since) < wait || TryDisk(e.dir) != nil {
			continue
		}
		e.log.WarnContext(ctx, "embedded nats-server is restarted", "reason", "it stores nothing although its disk takes files",
			"error", s.LastError, "server_error", e.newest(), "since", s.LastErrorSince)
		if e.stop(ctx); ctx.Err() != nil {
			return // it may still be at work on the files
		}
		wait, started = min(2*wait, embeddedMost), time.Now()
		if err := e.start(ctx); err != nil && ctx.Err() == nil {
			e.log.ErrorContext(ctx, "embedded nats-server does not start", "error", err)
			wait = patience // there is nothing to be kept from its work
		}
	}
}

// stuck reports whether a new start may help: there is no server, or it is
// connected to and does not do what it is asked, and does not refuse it either.
func (e *embedded) stuck(s publisher.Status) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.srv == nil || s.Connected && publisher.Unanswered(s.LastError)
}

// newest returns what the server said last of what is wrong.
func (e *embedded) newest() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.lines.newest()
}
