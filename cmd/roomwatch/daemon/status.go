package daemon

import (
	"time"

	"roomwatch/cmd/internal/program"
	"roomwatch/cmd/roomwatch/web"
	"roomwatch/diff"
	"roomwatch/poller"
	"roomwatch/poller/webhook"
	"roomwatch/publisher"
	"roomwatch/state"
)

// Status is how the daemon is doing. It is in memory, but for the oldest event
// that waits, which may have to be read from the outbox.
func (d *Daemon) Status() web.Status {
	now := time.Now()
	poll, pub, st := d.poll.Status(), d.pub.Status(), d.store.Status()
	var bucket publisher.BucketStatus
	if d.bucket != nil {
		bucket = d.bucket.Status()
	}
	var hooks webhook.Status
	if d.receiver != nil {
		hooks = d.receiver.Status()
	}
	s := web.Status{
		Version: program.Version(), Started: web.Time{Time: d.started}, Now: web.Time{Time: now},
		Health:       web.OK,
		Application:  web.Application{SDKAppID: d.cfg.SDKAppID, Endpoint: d.endpoint()},
		Sweep:        currentSweep(st.Sweep, poll.Sweep),
		LastComplete: completeSweep(poll.LastComplete),
		Rooms:        web.RoomCount{Known: st.Rooms, Missing: st.Missing, Hidden: st.Hidden},
		Absence: web.Absence{MissRate: st.MissRate, Recall: st.Recall, Guard: web.Guard{
			Active: st.Guarded || st.Held.Proved > 0, Held: st.Held.Proved, Agree: st.Doubted, Needed: d.cfg.MassEndSweeps,
		}},
		News:   web.News{Created: newsAge(st.News.Created), Ended: newsAge(st.News.Ended)},
		Probes: probes(poll.Probes),
		Outbox: web.Outbox{
			Depth: pub.Waiting, Oldest: web.Time{Time: pub.WaitingSince},
			Epoch: pub.Epoch, Assigned: pub.Assigned, Stored: pub.Stored,
		},
		NATS: web.NATS{
			Connected: pub.Connected, Server: d.NATSURL(), Stream: d.cfg.Stream, Prefix: d.cfg.SubjectPrefix,
			Batches: pub.Batches, Claim: pub.Fence, Bucket: d.bucketStatus(), Pulse: web.Time{Time: pub.Pulse.Last},
		},
		Callbacks: d.callbacks(),
		Events:    map[string]int64{},
	}
	d.showRole(&s, pub)
	s.Conditions = rules{d.cfg, d.embedded != nil, s.Role != web.RoleWriter}.conditions(now, poll, pub, st, hooks, bucket)
	s.Conditions = append(s.Conditions, d.leaseConditions(now, &s)...)
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

func newsAge(a state.NewsAge) web.NewsAge {
	return web.NewsAge{Events: a.Events, Median: a.Median.Seconds(), P95: a.P95.Seconds()}
}

func probes(p *poller.ProbeStatus) *web.Probes {
	if p == nil {
		return nil
	}
	return &web.Probes{Places: p.Places, Made: p.Probes, Found: p.Found}
}

// endpoint is the base URL of the service, not its short name.
func (d *Daemon) endpoint() string {
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
