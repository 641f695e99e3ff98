package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/cmd/roomnotify/form"
	"roomwatch/cmd/roomnotify/rules"
	"roomwatch/publisher/events"
	"roomwatch/publisher/reader"
)

const (
	pastWait   = 10 * time.Second // for the next message of the past
	pulseTrail = 24 * time.Hour   // how much older the newest pulse may be than the beginning
)

// A past is what the event stream has of a time that lets targets be told again, in a
// dry run: by the code of the daemon, in simulated time, with a target that takes
// everything at once and a memory instead of the store. So it tells what a roomnotify
// tells that begins at that time with nothing in its store, if no target is ever away.
type past struct {
	js             jetstream.JetStream
	stream, prefix string
	from, end      time.Time
}

// A telling is a notification that a target would have been sent.
type telling struct {
	at time.Time
	n  form.Notification
}

// A retelling is what came of a dry run for one target.
type retelling struct {
	told []telling
	held int // held back at the end
	late int // events skipped because they were late
}

// tell lets the time pass for one target.
func (p *past) tell(ctx context.Context, file *rules.File, t *rules.Target) (*retelling, error) {
	list := file.Of(t.Name)
	pulses, err := p.pulses(ctx, list)
	if err != nil {
		return nil, err
	}
	source, err := p.open(ctx, events.Filters(p.prefix, file.Types(t.Name), 0, nil), p.from)
	if err != nil {
		return nil, err
	}
	defer source.close()
	var out retelling
	var failed error
	simulate(p.from, p.end, func(c clock) []func() {
		kept := newMemory(c)
		count := newMetrics(newStatus()).of(t.Name)
		send := func(_ context.Context, n form.Notification) error {
			out.told = append(out.told, telling{c.now(), n})
			return nil
		}
		stop, end := context.WithCancel(ctx)
		g := newTarget(stop, t, list, kept, send, newWatch(time.Time{}, p.from), count, slog.New(slog.DiscardHandler))
		pulses.clock = c
		g.clock, g.pulses = c, pulses
		return []func(){
			func() { g.tend(stop); out.late, out.held = g.late, kept.held() },
			func() { g.mindPulse(stop) },
			func() {
				if failed = p.feed(stop, g, source); failed != nil {
					end() // the others have nothing to wait for
				}
			},
		}
	})
	return &out, failed
}

// feed hands a target the events of the past, each when it was stored.
func (p *past) feed(ctx context.Context, g *target, source *pastReader) error {
	for {
		m, stored, err := source.next(ctx)
		if err != nil || m == nil {
			return err
		}
		e, err := events.Decode(m.Data())
		if err != nil {
			continue // no event that a rule can name
		}
		if e.Stored = stored; g.pause(ctx, stored.Sub(g.now())) != nil {
			return ctx.Err()
		}
		if err := g.handle(ctx, e); errors.Is(err, errStopping) {
			return ctx.Err()
		} else if err != nil {
			return err
		}
	}
}

// A pastReader brings the messages of a past in their order.
type pastReader struct {
	r       *reader.Reader
	end     time.Time
	pending uint64 // messages that the stream still has
}

func (p *past) open(ctx context.Context, filters []string, from time.Time) (*pastReader, error) {
	r, err := reader.Open(ctx, p.js, reader.Config{
		Stream: p.stream, Drop: true,
		Consumer: jetstream.OrderedConsumerConfig{FilterSubjects: filters, DeliverPolicy: jetstream.DeliverByStartTimePolicy, OptStartTime: &from},
	})
	if err != nil {
		return nil, fmt.Errorf("read stream %s: %w", p.stream, err)
	}
	return &pastReader{r: r, end: p.end, pending: r.Info.NumPending}, nil
}

func (r *pastReader) close() { r.r.Close() }

// next returns the next message, and when it was stored; nil at the end.
func (r *pastReader) next(ctx context.Context) (jetstream.Msg, time.Time, error) {
	if r.pending == 0 {
		return nil, time.Time{}, nil
	}
	m, meta, err := r.r.Next(ctx, pastWait)
	if errors.Is(err, nats.ErrTimeout) {
		err = fmt.Errorf("the event stream does not go on: %w", err)
	}
	if err != nil {
		return nil, time.Time{}, err
	}
	if r.pending = meta.NumPending; meta.Timestamp.After(r.end) {
		return nil, time.Time{}, nil
	}
	return m, meta.Timestamp, nil
}

// pastPulses is the pulse as it was at the moments of a simulation.
type pastPulses struct {
	clock
	alive  []pulse // by time
	seen   int     // of them
	newest map[int]pulse
	gaps   []pastGap
}

type pastGap struct {
	app    int
	stored time.Time
	data   events.ResumedData
}

// pulses reads what the stream has of the watch, if a rule needs it.
func (p *past) pulses(ctx context.Context, list []*rules.Rule) (*pastPulses, error) {
	past := &pastPulses{newest: map[int]pulse{}}
	if !slices.ContainsFunc(list, func(r *rules.Rule) bool { return r.Watch }) {
		return past, nil
	}
	source, err := p.open(ctx, events.WatchFilters(p.prefix, 0), p.from.Add(-pulseTrail))
	if err != nil {
		return nil, err
	}
	defer source.close()
	for {
		m, stored, err := source.next(ctx)
		if err != nil || m == nil {
			return past, err
		}
		app, err := strconv.Atoi(m.Subject()[strings.LastIndexByte(m.Subject(), '.')+1:])
		if err != nil {
			continue
		}
		if a, err := events.DecodeAlive(m.Data()); err == nil && a.App() == app {
			past.alive = append(past.alive, pulseOf(a, stored))
		} else if r, err := events.DecodeResumed(m.Data()); err == nil {
			past.gaps = append(past.gaps, pastGap{app, stored, r.Data})
		}
	}
}

func (p *pastPulses) look(context.Context) (time.Time, []pulse, error) {
	now := p.now()
	for ; p.seen < len(p.alive) && !p.alive[p.seen].stored.After(now); p.seen++ {
		p.newest[p.alive[p.seen].app] = p.alive[p.seen]
	}
	list := slices.SortedFunc(maps.Values(p.newest), func(a, b pulse) int { return a.app - b.app })
	return now, list, nil
}

func (p *pastPulses) resumed(_ context.Context, app int, after time.Time) (*events.ResumedData, error) {
	now := p.now()
	for _, g := range slices.Backward(p.gaps) {
		if g.app == app && !g.stored.After(now) {
			if !g.stored.After(after) {
				return nil, nil
			}
			return &g.data, nil
		}
	}
	return nil, nil
}
