package daemon

import (
	"time"

	"roomwatch/cmd/roomwatch/web"
	"roomwatch/diff"
	"roomwatch/poller"
	"roomwatch/state"
)

// Explain says what is known of one RoomID, and false if nothing is. What the parts
// say may be some microseconds apart.
func (d *Daemon) Explain(id string) (web.Explanation, bool, error) {
	now := time.Now()
	f, err := d.store.Explain(id, now)
	if err != nil {
		return web.Explanation{}, false, err
	}
	e := web.Explanation{RoomID: id, Now: web.Time{Time: now}, State: web.StateUnknown}
	if f.End.Told.IsZero() || f.End.Expired(now) {
		f.End = diff.RecentEnd{}
	} else {
		e.State = web.StateEnded
		e.End = &web.End{CreateTime: f.End.CreateTime, Told: web.Time{Time: f.End.Told}, By: string(f.End.By), Missed: f.End.Missed}
	}
	if f.Live != nil {
		d.explainLive(&e, f)
	}
	if reader := d.poll.Reader(); reader != nil && f.Reads != nil {
		e.Reads = explainReads(f, reader.Turn(id))
		if t := f.Reads.Told; t != nil {
			e.Callback = &web.RoomCallback{At: web.Time{Time: t.At}, Kind: t.Kind.String(), Seen: t.Seen}
		}
	}
	r := e.Reads
	known := e.State != web.StateUnknown || e.Callback != nil || r != nil && (r.Waiting != nil || r.Reading || r.Last != nil)
	return e, known, nil
}

func (d *Daemon) explainLive(e *web.Explanation, f state.Facts) {
	e.State = web.StateLive
	if f.Live.Room.Hidden {
		e.State = web.StateHidden
	}
	room := web.NewRoom(*f.Live)
	e.Room, e.Told = &room, &f.Told
	if f.Listed > 0 {
		e.Listed = d.explainListed(f)
	}
	e.Absence = &web.RoomAbsence{
		Sweeps: f.Live.Missed, Needed: f.Need, Span: f.Span.Seconds(), MissRate: f.History.MissRate(),
		Guard: web.SweepGuard{Active: f.Guarded, Agree: f.History.Doubted, Needed: d.cfg.MassEndSweeps},
	}
	if f.Live.Missed > 0 {
		e.Absence.First, e.Absence.Newest, e.Absence.Number = web.Time{Time: f.Missed}, web.Time{Time: f.History.Begin}, f.Judged
	}
	if f.Reads != nil {
		e.Absence.Passed, e.Absence.Waits = f.Reads.Passed, f.Reads.Waits && f.Live.Missed > 0
	}
}

// explainListed says which sweep has shown the room last.
func (d *Daemon) explainListed(f state.Facts) *web.Listed {
	l := &web.Listed{Sweep: f.Listed, Current: f.Listed == f.Sweep, Newest: f.Listed == f.Judged}
	switch s := d.poll.Status(); {
	case l.Current && s.Sweep != nil:
		l.Began = web.Time{Time: s.Sweep.Begin}
	case l.Newest:
		l.Began = web.Time{Time: f.History.Begin}
	}
	return l
}

// explainReads says what point reads have said of the room, and which are due.
func explainReads(f state.Facts, turn poller.Turn) *web.RoomReads {
	t := f.Reads
	r := &web.RoomReads{
		Answering: t.Answering, Reading: turn.Reading, Failed: t.Failed, Witnesses: []web.Witness{},
		Controllable: t.Controllable, Proved: t.Proved, HeldBack: f.HeldBack,
	}
	if t.Failed > 0 {
		r.FailedAt = web.Time{Time: t.FailAt}
	}
	if turn.Refused.Err != nil {
		r.Refused = &web.Lasting{Since: web.Time{Time: turn.Refused.At}, Text: turn.Refused.Err.Error()}
		r.Retry = web.Time{Time: turn.Retry}
	}
	if w := turn.Waiting; w != nil {
		r.Waiting = &web.Proposed{Source: w.Source.String(), Class: w.Class, Since: web.Time{Time: w.Since}, Due: web.Time{Time: w.Due}, Before: w.Before}
	}
	if t.Distrusted {
		r.VoidSince = web.Time{Time: t.Void}
	}
	if last := turn.Last; !last.At.IsZero() {
		r.Last = &web.RoomRead{At: web.Time{Time: last.At}, Outcome: last.Outcome.String()}
		if last.Outcome == diff.Gone && len(t.Absent) == 0 && last.At.After(t.VoidFrom) && (t.Distrusted || !last.At.After(t.Void)) {
			r.Last.Void = web.Time{Time: t.Void}
		}
	}
	for _, a := range t.Absent {
		by := "read"
		if a.Callback {
			by = "callback"
		}
		r.Witnesses = append(r.Witnesses, web.Witness{At: web.Time{Time: a.At}, By: by})
	}
	if n := t.Newer; n != nil {
		r.Newer = &web.NewerLife{CreateTime: n.CreateTime, Listed: n.Listed, Read: web.Time{Time: n.Read}}
	}
	return r
}
