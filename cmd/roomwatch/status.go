package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"roomwatch/cmd/internal/program"
	"roomwatch/cmd/roomwatch/web"
	"roomwatch/diff"
	"roomwatch/poller"
	"roomwatch/publisher"
	"roomwatch/state"
)

// outboxPatience is how long an event may wait for the stream before somebody
// should look, and the stream may refuse events before roomwatch is not ready.
const outboxPatience = time.Minute

// lossTold is how long a stream that has lost its history is told of.
const lossTold = 24 * time.Hour

// serve shows the daemon over HTTP until ctx is done, and closes l.
func (d *daemon) serve(ctx context.Context, l net.Listener) error {
	w, err := d.web()
	if err != nil {
		return errors.Join(err, l.Close())
	}
	return w.Serve(ctx, l)
}

// web is what the daemon shows over HTTP.
func (d *daemon) web() (*web.Server, error) {
	token, err := d.cfg.followedToken(d.log)
	if err != nil {
		return nil, err
	}
	return web.New(web.Config{
		Addr: d.cfg.HTTPAddr, Token: token, Open: d.cfg.HTTPOpen,
		Status: d.status, Rooms: d.store, Metrics: d.metrics,
		Connect: d.readers.Connect, Domain: d.cfg.NATSDomain, Stream: d.cfg.Stream, Prefix: d.cfg.SubjectPrefix, SDKAppID: d.cfg.SDKAppID,
		Log: d.log,
	}), nil
}

// status is how the daemon is doing. It is in memory, but for the oldest event
// that waits, which may have to be read from the outbox.
func (d *daemon) status() web.Status {
	now := time.Now()
	poll, pub, st := d.poll.Status(), d.pub.Status(), d.store.Status()
	s := web.Status{
		Version: program.Version(), Started: web.Time{Time: d.started}, Now: web.Time{Time: now},
		Health: web.OK, Conditions: d.conditions(now, poll, pub, st),
		Application:  web.Application{SDKAppID: d.cfg.SDKAppID, Endpoint: d.endpoint()},
		Sweep:        currentSweep(st.Sweep, poll.Sweep),
		LastComplete: completeSweep(poll.LastComplete),
		Rooms:        web.RoomCount{Known: st.Rooms, Missing: st.Missing},
		Absence: web.Absence{MissRate: st.MissRate, Guard: web.Guard{
			Active: st.Guarded, Agree: st.Doubted, Needed: d.cfg.MassEndSweeps,
		}},
		Outbox: web.Outbox{
			Depth: pub.Waiting, Oldest: web.Time{Time: pub.WaitingSince},
			Epoch: pub.Epoch, Assigned: pub.Assigned, Stored: pub.Stored,
		},
		NATS: web.NATS{
			Connected: pub.Connected, Server: d.natsURL(), Stream: d.cfg.Stream, Prefix: d.cfg.SubjectPrefix,
			Batches: pub.Batches, Claim: pub.Fence,
		},
		Events: map[string]int64{},
	}
	for _, c := range s.Conditions {
		if c.Level == web.Failing || s.Health == web.OK {
			s.Health = c.Level
		}
	}
	if f := poll.LastFailure; f.Err != nil {
		s.LastFailure = &web.Failure{At: web.Time{Time: f.At}, Text: f.Err.Error()}
	}
	if pub.LastError != nil {
		s.NATS.LastError = &web.Lasting{Since: web.Time{Time: pub.LastErrorSince}, Text: pub.LastError.Error()}
	}
	for _, t := range diff.Types() {
		s.Events[string(t)] = int64(pub.Events[t])
	}
	return s
}

// endpoint is the base URL of the service, not its short name.
func (d *daemon) endpoint() string {
	e, err := poller.ParseEndpoint(d.cfg.Endpoint)
	if err != nil {
		return d.cfg.Endpoint // unreachable: the poller was made with it
	}
	return e.String()
}

func currentSweep(number uint64, r *poller.Report) *web.Sweep {
	if r == nil {
		return nil
	}
	return &web.Sweep{
		Number: number, Began: web.Time{Time: r.Begin},
		Pages: r.Pages, Rooms: r.Rooms, Requests: r.Requests, Retries: r.Retries,
	}
}

func completeSweep(r *poller.Report) *web.CompleteSweep {
	if r == nil {
		return nil
	}
	return &web.CompleteSweep{
		Began: web.Time{Time: r.Begin}, Ended: web.Time{Time: r.End}, Duration: r.End.Sub(r.Begin).Seconds(),
		Pages: r.Pages, Rooms: r.Rooms, Requests: r.Requests, Retries: r.Retries, Duplicates: r.Duplicates,
	}
}

// conditions says what keeps the daemon from doing what it is for, and what
// somebody should look at although it does.
func (d *daemon) conditions(now time.Time, poll poller.Status, pub publisher.Status, st state.Status) []web.Condition {
	list := []web.Condition{}
	add := func(level, about, text, mend string) {
		list = append(list, web.Condition{Level: level, About: about, Text: text, Mend: mend})
	}
	switch last := poll.LastComplete; {
	case poll.Refused.Err != nil:
		add(web.Failing, "source", fmt.Sprintf("the service refuses the configuration since %s: %v", stamp(poll.Refused.At), poll.Refused.Err),
			"change what it names and start roomwatch again; `roomwatch check` tries it with one request")
	case last == nil:
		add(web.Failing, "sweep", "no sweep has been complete since the start"+lastFailure(poll), d.sweepMend(poll.LastFailure.Err))
	case now.Sub(last.End) > 3*d.cfg.Interval+last.End.Sub(last.Begin):
		add(web.Failing, "sweep", fmt.Sprintf("the newest complete sweep ended at %s", stamp(last.End))+lastFailure(poll), d.sweepMend(poll.LastFailure.Err))
	case !poll.FailingSince.IsZero():
		about := "source"
		if errors.Is(poll.LastFailure.Err, poller.ErrSink) {
			about = "state"
		}
		add(web.Degraded, about, fmt.Sprintf("sweeps fail since %s", stamp(poll.FailingSince))+lastFailure(poll), d.sweepMend(poll.LastFailure.Err))
	}
	if !pub.Connected {
		add(web.Failing, "nats", fmt.Sprintf("NATS is not connected; %d events wait on disk", st.Waiting),
			"see that NATS runs and can be reached; the connection is tried again for ever")
	}
	if pub.LastError != nil {
		level := web.Degraded
		if now.Sub(pub.LastErrorSince) > outboxPatience {
			level = web.Failing // nobody hears of anything
		}
		add(level, "stream", fmt.Sprintf("events are not stored since %s, %d wait on disk: %v", stamp(pub.LastErrorSince), st.Waiting, pub.LastError), d.storeMend(pub.LastError))
	} else if pub.Connected && !pub.WaitingSince.IsZero() && now.Sub(pub.WaitingSince) > outboxPatience {
		add(web.Degraded, "outbox", fmt.Sprintf("%d events wait for the stream, the oldest since %s", pub.Waiting, stamp(pub.WaitingSince)),
			"wait if they become fewer; else look at NATS and its disk")
	}
	if made := pub.MadeAnew; !made.IsZero() && now.Sub(made) < lossTold {
		add(web.Degraded, "history", fmt.Sprintf("stream %s was made anew, found at %s: the events that the one before it had are gone", d.cfg.Stream, stamp(made)),
			"find out who removed it; readers that begin at its start lack the rooms that were told before; this is shown for a day, or until a restart")
	}
	if st.Guarded {
		add(web.Degraded, "guard", fmt.Sprintf("%d of %d rooms are missing at once: their ends wait until %d complete sweeps in a row, over at least %s, agree; %d do so far",
			st.Missing, st.Rooms, d.cfg.MassEndSweeps, d.cfg.policy().MassEndSpan(), st.Doubted),
			"look at what the service answers; if the rooms are really gone, nothing is to be done")
	}
	return list
}

// sweepMend says what helps sweeps to be complete.
func (d *daemon) sweepMend(err error) string {
	switch hint := poller.Hint(err); {
	case err == nil:
		return "wait for the first one"
	case errors.Is(err, poller.ErrSink):
		return fmt.Sprintf("see that the disk of ROOMWATCH_DATA_DIR, %s, has room and that roomwatch may write to it; sweeps are retried for ever", d.cfg.DataDir)
	case hint != "":
		return hint
	}
	return "look at its failure; sweeps are retried for ever"
}

// storeMend says what helps a stream that takes no events. What refuses them says
// so itself; a server that says nothing may be one whose disk was full.
func (d *daemon) storeMend(err error) string {
	switch {
	case !publisher.Unanswered(err):
		return ""
	case d.embedded != nil:
		return "see that the disk of ROOMWATCH_DATA_DIR has room; the embedded server is started anew by itself when it has"
	}
	return "see that NATS answers and that its disk has room; after a full disk nats-server writes to a stream again only when it was restarted"
}

func lastFailure(s poller.Status) string {
	if s.LastFailure.Err == nil {
		return ""
	}
	return fmt.Sprintf("; the newest failure, at %s: %v", stamp(s.LastFailure.At), s.LastFailure.Err)
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
