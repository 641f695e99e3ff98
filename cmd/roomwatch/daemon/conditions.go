package daemon

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"roomwatch/cmd/internal/display"
	"roomwatch/cmd/roomwatch/config"
	"roomwatch/cmd/roomwatch/web"
	"roomwatch/poller"
	"roomwatch/poller/webhook"
	"roomwatch/publisher"
	"roomwatch/publisher/natsconn"
	"roomwatch/state"
)

// outboxPatience is how long an event may wait for the stream before somebody
// should look, and the stream may refuse events before roomwatch is not ready.
const outboxPatience = time.Minute

// lossTold is how long a stream that has lost its history is reported.
const lossTold = 24 * time.Hour

// The rules say what keeps the daemon from doing what it is for, and what
// somebody should look at although it does.
type rules struct {
	cfg      *config.Config
	embedded bool // the server of the stream
	idle     bool // this process is not the writer: it asks the service nothing
}

// conditions applies them to what the parts say of themselves.
func (r rules) conditions(now time.Time, poll poller.Status, pub publisher.Status, st state.Status, hooks webhook.Status, bucket publisher.BucketStatus) []web.Condition {
	if r.idle {
		return append([]web.Condition{}, slices.Concat(r.nats(pub, st), r.stream(now, pub, st), r.file(st))...)
	}
	return append([]web.Condition{}, slices.Concat( // never null, which Concat gives for nothing
		r.sweeps(now, poll), r.reads(poll), r.nats(pub, st), r.stream(now, pub, st), r.history(now, pub), r.file(st), r.clock(now, st), r.guard(st), r.callbacks(hooks), r.bucket(bucket), r.pulse(pub))...)
}

// waits says how many events the stream does not have yet.
func waits(events uint64) string { return display.Count(events, "event waits", "events wait") }

func condition(level, about, fix, format string, args ...any) []web.Condition {
	return []web.Condition{{Level: level, About: about, Text: fmt.Sprintf(format, args...), Fix: fix}}
}

func (r rules) sweeps(now time.Time, poll poller.Status) []web.Condition {
	switch last := poll.LastComplete; {
	case poll.Refused.Err != nil:
		return condition(web.Failing, "source", poller.RefusedFix,
			"the service refuses the configuration since %s: %v", stamp(poll.Refused.At), poll.Refused.Err)
	case last == nil:
		return condition(web.Failing, "sweep", r.sweepFix(poll.LastFailure.Err), "no sweep has been complete since the start%s", lastFailure(poll))
	case now.Sub(last.End) > 3*r.cfg.Interval+last.End.Sub(last.Begin):
		return condition(web.Failing, "sweep", r.sweepFix(poll.LastFailure.Err), "the newest complete sweep ended at %s%s", stamp(last.End), lastFailure(poll))
	case !poll.FailingSince.IsZero():
		about := "source"
		if errors.Is(poll.LastFailure.Err, poller.ErrSink) {
			about = "state"
		}
		return condition(web.Degraded, about, r.sweepFix(poll.LastFailure.Err), "sweeps fail since %s%s", stamp(poll.FailingSince), lastFailure(poll))
	}
	return nil
}

func (r rules) reads(poll poller.Status) []web.Condition {
	if poll.ReadsRefused.Err == nil {
		return nil
	}
	return condition(web.Degraded, "reads", "correct what the error names. Until then sweeps of the list decide which rooms have ended, which takes longer. "+
		"Point reads are retried every ten minutes; ROOMWATCH_POINT_READS_PER_SECOND=0 turns them off",
		"the service refuses get_room_info since %s: %v", stamp(poll.ReadsRefused.At), poll.ReadsRefused.Err)
}

func (r rules) nats(pub publisher.Status, st state.Status) []web.Condition {
	if pub.Connected {
		return nil
	}
	fix := "check that NATS runs and can be reached; it is retried forever"
	if errors.Is(pub.LastError, natsconn.ErrAuth) {
		fix = "NATS refuses the credentials: correct them there or here; it is retried forever"
	}
	return condition(web.Failing, "nats", fix,
		"NATS is not connected; %s on disk", waits(st.Waiting))
}

func (r rules) stream(now time.Time, pub publisher.Status, st state.Status) []web.Condition {
	switch {
	case pub.LastError != nil:
		level := web.Degraded
		if now.Sub(pub.LastErrorSince) > outboxPatience {
			level = web.Failing // nobody hears of anything
		}
		return condition(level, "stream", r.storeFix(pub.LastError),
			"events are not stored since %s, %s on disk: %v", stamp(pub.LastErrorSince), display.Count(st.Waiting, "waits", "wait"), pub.LastError)
	case pub.Connected && !pub.WaitingSince.IsZero() && now.Sub(pub.WaitingSince) > outboxPatience:
		return condition(web.Degraded, "outbox", "wait if the number falls; otherwise check NATS and its disk",
			"%s for the stream, the oldest since %s", waits(pub.Waiting), stamp(pub.WaitingSince))
	}
	return nil
}

func (r rules) history(now time.Time, pub publisher.Status) []web.Condition {
	made := pub.MadeAnew
	if made.IsZero() || now.Sub(made) >= lossTold {
		return nil
	}
	return condition(web.Degraded, "history",
		"find out who removed it; readers that begin at its start miss the rooms that were published before; this is shown for a day, or until a restart",
		"stream %s was recreated, detected at %s: the older events are gone", r.cfg.Stream, stamp(made))
}

func (r rules) file(st state.Status) []web.Condition {
	if !st.Removed {
		return nil
	}
	return condition(web.Degraded, "state", state.RemovedFix,
		"%s was removed or replaced while it is in use: all that it holds is lost with the next stop, now %s", r.cfg.StatePath(), display.Count(st.Waiting, "waiting event"))
}

func (r rules) clock(now time.Time, st state.Status) []web.Condition {
	if st.Ahead <= state.ClockTolerance {
		return nil
	}
	return condition(web.Degraded, "clock", state.ClockFix,
		"this machine's clock was set back: events have the time %s, %s ahead of it", stamp(now.Add(st.Ahead)), st.Ahead.Round(time.Second))
}

func (r rules) guard(st state.Status) []web.Condition {
	const fix = "check what the service really has; if the rooms have ended, no action is needed"
	if h := st.Held; h.Proved > 0 {
		return condition(web.Degraded, "guard", fix,
			"%d of %d rooms are missing, passed or not found at once: %s until the reads of more than %g%% of the rooms agree, each room's own over at least %s",
			h.Absent, h.Known, display.Count(h.Proved, "end that point reads have proved waits", "ends that point reads have proved wait"), r.cfg.MassEndPercent, r.cfg.Policy().MassEndSpan())
	}
	if !st.Guarded {
		return nil
	}
	return condition(web.Degraded, "guard", fix,
		"%d of %d rooms are missing at once: their ends wait until %s in a row, over at least %s, agree; so far: %d",
		st.Missing, st.Rooms, display.Count(r.cfg.MassEndSweeps, "complete sweep"), r.cfg.Policy().MassEndSpan(), st.Doubted)
}

// callbacks tells of a clock that is off: ten callbacks in a row with the right
// signature and a time that is not ours. A single one can be an old one that is sent again.
func (r rules) callbacks(hooks webhook.Status) []web.Condition {
	if hooks.Outdated < 10 {
		return nil
	}
	return condition(web.Degraded, "callbacks", "set the clock of this machine by NTP; until then the ends of rooms are found by sweeps and point reads alone",
		"the last %d callbacks of the service were refused for their time, the newest is %s off: this machine's clock is wrong", hooks.Outdated, hooks.Offset)
}

func (r rules) bucket(b publisher.BucketStatus) []web.Condition {
	if b.Error == nil {
		return nil
	}
	return condition(web.Degraded, "bucket", "events are stored all the same; see what the error names, it is retried every minute",
		"the key-value bucket %s does not follow the stream since %s: %v", b.Name, stamp(b.Since), b.Error)
}

func (r rules) pulse(pub publisher.Status) []web.Condition {
	if pub.Pulse.Error == nil || pub.LastError != nil {
		return nil // that nothing is stored is told already
	}
	return condition(web.Degraded, "pulse", "events are stored all the same; see what the error names",
		"subscribers cannot see that somebody watches since %s: %v", stamp(pub.Pulse.Since), pub.Pulse.Error)
}

// sweepFix says what helps sweeps to be complete.
func (r rules) sweepFix(err error) string {
	switch hint := poller.Hint(err); {
	case err == nil:
		return "wait for the first sweep"
	case errors.Is(err, poller.ErrSink):
		return fmt.Sprintf("check that the disk of ROOMWATCH_DATA_DIR, %s, has room and that roomwatch may write to it; sweeps are retried forever", r.cfg.DataDir)
	case hint != "":
		return hint
	}
	return "see the error; sweeps are retried forever"
}

// storeFix says what helps a stream that takes no events. What refuses them says
// so itself; a server that says nothing may be one whose disk was full.
func (r rules) storeFix(err error) string {
	switch {
	case !publisher.Unanswered(err):
		return ""
	case r.embedded:
		return "check that the disk of ROOMWATCH_DATA_DIR has room; the embedded server is restarted automatically when it has"
	}
	return "check that NATS answers and that its disk has room; after a full disk nats-server writes to a stream again only when it was restarted"
}

func lastFailure(s poller.Status) string {
	if s.LastFailure.Err == nil {
		return ""
	}
	return fmt.Sprintf("; the newest failure, at %s: %v", stamp(s.LastFailure.At), s.LastFailure.Err)
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
