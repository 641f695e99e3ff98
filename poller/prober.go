package poller

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"sync"
	"time"

	"roomwatch/diff"
	"roomwatch/diff/retry"
)

// probeIdle is how often it is looked whether a place is worth a probe, while none is.
const probeIdle = 100 * time.Millisecond

// maxProbeShare is the largest part of the quota that probes may have.
const maxProbeShare = 0.5

// What came of a probe, as metrics show it.
const (
	probeNews    = "news"    // rooms that nobody knew
	probeNothing = "nothing" // no such room
	probeStale   = "stale"   // the service does not know the Next any more
	probeFailed  = "failed"  // no answer
)

// A prober reads places of earlier sweeps again, beside the sweep that is on its way,
// and never more often than its share of the quota allows.
//
// A request holds a slot of the quota until a second after its answer. Probes hold no
// more than their share of the slots, on average, however slow the answers are: so many
// may be on their way at once, and each waits in proportion to the time for which it has held
// its slot. So the sweep has the others, and is as fast as with a quota of that size.
type prober struct {
	log     *slog.Logger
	fetch   fetcher // of which each probe that is on its way has a copy with a client of its own
	places  *places
	share   float64
	allowed func() bool // whether anybody could do anything with what a probe shows
	metrics *probeMetrics
	hour    probeHour
}

// newProber returns the prober of a poller that makes point reads: what a probe shows and
// nobody knows is believed when a read has shown it, too. While sweeps fail there are no probes.
func newProber(c Config, p *Poller) (*prober, error) {
	pr := &prober{log: c.Log, places: newPlaces(), share: c.ProbeShare}
	count := p.fetch.count
	p.fetch.count = func(outcome string, took time.Duration) {
		pr.places.requested()
		count(outcome, took)
	}
	pr.fetch = *p.fetch
	pr.allowed = func() bool {
		s := p.fetch.health.snapshot()
		return s.FailingSince.IsZero() && s.Refused.Err == nil && p.reader.refusedSince().Err == nil
	}
	pr.metrics = newProbeMetrics(pr.places)
	if c.Metrics != nil {
		if err := pr.metrics.register(c.Metrics); err != nil {
			return nil, err
		}
	}
	return pr, nil
}

// most returns how many probes may be on their way.
func (p *prober) most() int { return max(1, int(math.Ceil(p.share*vendorRate))) }

// run makes probes until ctx is done.
func (p *prober) run(ctx context.Context, sink Sink) {
	free := make(chan *fetcher, p.most())
	for range p.most() {
		f := p.fetch
		f.client = f.client.twin()
		free <- &f
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	for ctx.Err() == nil {
		var f *fetcher
		select {
		case f = <-free:
		case <-ctx.Done():
			return
		}
		pl := p.choose(ctx)
		if pl == nil {
			return
		}
		wg.Go(func() {
			held := p.probe(ctx, f, pl, sink)
			if retry.Sleep(ctx, p.rest(held)) == nil {
				free <- f
			}
		})
		_ = retry.Sleep(ctx, p.apart())
	}
}

// apart is the time between two probes, at least.
func (p *prober) apart() time.Duration {
	perSecond := p.share * min(p.fetch.quota.rate(), vendorRate)
	return time.Duration(float64(time.Second) / perSecond)
}

// rest returns how long after a probe that has taken so long the next one may be made in
// its place.
func (p *prober) rest(took time.Duration) time.Duration {
	held := took + vendorSpan
	return time.Duration(float64(held)*float64(p.most())/(p.share*vendorRate)) - took
}

// choose waits until a place is worth a probe, and returns nil when ctx is done.
func (p *prober) choose(ctx context.Context) *place {
	for {
		if p.allowed() {
			if pl := p.places.next(time.Now()); pl != nil {
				return pl
			}
		}
		if retry.Sleep(ctx, probeIdle) != nil {
			return nil
		}
	}
}

// probe reads a place and hands over what it shows. It returns how long the request was on
// its way. It is not retried: another place may be worth more by then.
func (p *prober) probe(ctx context.Context, f *fetcher, pl *place, sink Sink) time.Duration {
	var t tally
	var a answer
	_, err := f.once(ctx, &t, func(sig string) (err error) {
		a, err = f.client.list(ctx, pl.next, sig)
		return err
	})
	if errors.Is(err, errForbidden) {
		return 0 // the place has done nothing wrong
	}
	now := time.Now()
	took := now.Sub(t.sent)
	var unknown []diff.Room
	if err == nil {
		unknown, err = sink.Probe(ctx, diff.Page{At: a.at, Begin: t.sent, Rooms: a.rooms, Asked: a.asked, RequestID: a.requestID})
	}
	switch e, _ := errors.AsType[*APIError](err); {
	case err == nil:
		p.places.answered(pl, a.at, a.asked, unknown, a.next)
	case e != nil && e.Code == codeBadParameter:
		p.places.failed(pl, now, true)
	default:
		if classOf(err) == Throttle {
			f.health.throttled(f.quota.throttle(t.sent), err)
		}
		p.places.failed(pl, now, false)
	}
	if ctx.Err() == nil {
		p.metrics.probe(len(unknown), err)
		p.hour.add(len(unknown), now)
		p.log.DebugContext(ctx, "probe answered", "next", pl.next, "rooms", len(a.rooms), "unknown", len(unknown), "error", err)
	}
	return took
}
