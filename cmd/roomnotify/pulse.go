package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/publisher/events"
	"roomwatch/publisher/natsconn"
)

const (
	pulseLook  = 15 * time.Second      // how often the pulse of roomwatch is looked at
	maxSilence = 3 * events.PulseEvery // after which nobody watches
)

// A pulse is what the event stream says of the watch of one application. Its times
// are of the clock of NATS, so that no other clock has to be right.
type pulse struct {
	app      int
	stored   time.Time // the newest watch.alive
	watching bool      // as roomwatch says there
	until    time.Time // the application was watched up to then; zero: it never was
	moment   time.Time // of until, the same at every look; of any clock
}

// fresh reports whether the pulse goes on.
func (p pulse) fresh(now time.Time) bool { return now.Sub(p.stored) < maxSilence }

// pulses reads the pulse of roomwatch from the event stream.
type pulses struct {
	js             jetstream.JetStream
	stream, prefix string
}

// look returns the newest pulse of each application that has one, in their order,
// and the time it is for NATS.
func (p pulses) look(ctx context.Context) (now time.Time, list []pulse, err error) {
	ctx, cancel := context.WithTimeout(ctx, askWait)
	defer cancel()
	s, err := p.js.Stream(ctx, p.stream)
	if err != nil {
		return now, nil, fmt.Errorf("stream %s: %w", p.stream, err)
	}
	info, err := s.Info(ctx, jetstream.WithSubjectFilter(p.subject(events.WatchAlive, "*")))
	if err != nil {
		return now, nil, fmt.Errorf("stream %s: %w", p.stream, err)
	}
	if now = info.TimeStamp; now.IsZero() {
		now = time.Now() // a server that does not say
	}
	for subject := range info.State.Subjects {
		app, err := strconv.Atoi(subject[strings.LastIndexByte(subject, '.')+1:])
		if err != nil {
			continue // of nobody that roomwatch knows
		}
		m, err := p.last(ctx, subject)
		if err != nil {
			return now, nil, err
		}
		if m == nil {
			continue // removed meanwhile
		}
		a, err := events.DecodeAlive(m.Data)
		if err != nil || a.App() != app {
			continue // no pulse: `roomwatch verify` tells of it
		}
		list = append(list, pulseOf(a, m.Time))
	}
	slices.SortFunc(list, func(a, b pulse) int { return a.app - b.app })
	return now, list, nil
}

// pulseOf is a pulse in the time of NATS: how long ago its writer had watched is
// measured by the clock of the writer alone.
func pulseOf(a events.Alive, stored time.Time) pulse {
	p := pulse{app: a.App(), stored: stored, watching: a.Data.Watching}
	switch {
	case p.watching:
		p.until, p.moment = stored, stored
	case !a.Data.Until.IsZero():
		p.until, p.moment = stored.Add(-max(0, a.Time.Sub(a.Data.Until))), a.Data.Until
	}
	return p
}

func (p pulses) subject(t events.Type, app string) string {
	return strings.Join([]string{p.prefix, string(t), app}, ".")
}

// resumed returns the newest gap of an application that was told after a time; nil if none was.
func (p pulses) resumed(ctx context.Context, app int, after time.Time) (*events.ResumedData, error) {
	ctx, cancel := context.WithTimeout(ctx, askWait)
	defer cancel()
	m, err := p.last(ctx, p.subject(events.WatchResumed, strconv.Itoa(app)))
	if err != nil || m == nil || !m.Time.After(after) {
		return nil, err
	}
	r, err := events.DecodeResumed(m.Data)
	if err != nil {
		return nil, nil //nolint:nilerr // no gap that can be told: `roomwatch verify` tells of it
	}
	return &r.Data, nil
}

// last returns the newest message on a subject, or nil if there is none. It asks the
// leader of the stream, as one permission allows it for any stream: whether a
// replica may be asked is a setting of the stream.
func (p pulses) last(ctx context.Context, subject string) (*natsconn.Stored, error) {
	m, err := natsconn.FromLeader(ctx, p.js, p.stream, natsconn.LastOn(subject))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", subject, err)
	}
	return m, nil
}

// noPulse reports whether an error says that there is no event stream, of which
// others tell already.
func noPulse(err error) bool { return errors.Is(err, jetstream.ErrStreamNotFound) }

// watch tells which applications are watched, as far as their newest pulse says.
func (l *checklist) watch(ctx context.Context, p pulses) {
	now, list, err := p.look(ctx)
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	switch {
	case noPulse(err):
		return // there is a line of it already
	case err != nil:
		l.Line("watch", err, "")
	case len(list) == 0:
		l.Warn("watch", "the stream has no pulse of roomwatch: a rule with watch: true reports nothing before there is one; check that roomwatch runs, and that NATS lets it publish to %s", p.subject(events.WatchAlive, "*"))
	}
	for _, a := range list {
		age := now.Sub(a.stored).Truncate(time.Second)
		switch {
		case !a.fresh(now):
			l.Warn("watch", "application %d: nobody watches: the newest pulse is %s old; check that roomwatch runs and reaches NATS", a.app, age)
		case !a.watching:
			l.Warn("watch", "application %d: roomwatch runs, and cannot read the list of rooms: see roomwatch status", a.app)
		default:
			l.Line("watch", nil, "application %d: watched, the newest pulse is %s old", a.app, age)
		}
	}
}
