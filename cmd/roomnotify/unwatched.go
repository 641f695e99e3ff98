package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/cmd/roomnotify/form"
)

// A silence is a time in which nobody watches an application, as a target was told
// of it. It is kept in the store until the target was told that it is over.
//
// What a crash leaves behind, by the moment it comes:
//
//	before a notification was told   nothing: the next roomnotify sees the same, and tells it
//	after it, before it is noted     it is told again, with the same id
//	after that                       it is not told again
//
// It is forgotten with the age that the store keeps. A silence that lasts longer is
// told once more.
type silence struct {
	Since  time.Time `json:"since"`  // the application was watched up to then
	Moment time.Time `json:"moment"` // that names it in ids
	Pulse  time.Time `json:"pulse"`  // when the newest pulse was stored
}

// mindPulse tells of the watch until ctx is done, if a rule of the target wants that.
//
// An old pulse alone proves nothing. After NATS was away, or all began together, the
// next one takes its time. So silence is told only after roomnotify has seen the
// stream for as long as the silence has to last.
func (g *target) mindPulse(ctx context.Context) {
	if !slices.ContainsFunc(g.rules, func(r *ruleState) bool { return r.Watch }) {
		return
	}
	work, end := g.outlive(ctx)
	defer end()
	var reported changes
	var seeing time.Time // since when each look saw the stream; zero: the newest did not
	for {
		err := g.lookAtPulse(work, &seeing)
		if err != nil && !errors.Is(err, errStopping) {
			seeing = time.Time{}
		}
		if ctx.Err() == nil && !noPulse(err) && reported.begins(err) {
			g.log.WarnContext(ctx, "pulse of roomwatch cannot be read", "error", err, "fix", "check that NATS runs, and that roomnotify may read the event stream; it is retried forever")
		}
		if !g.awaitMultiple(ctx, pulseLook) {
			return
		}
	}
}

func (g *target) lookAtPulse(ctx context.Context, seeing *time.Time) error {
	now, list, err := g.pulses.look(ctx)
	if err != nil {
		return err
	}
	if seeing.IsZero() {
		*seeing = g.now()
	}
	sure := g.now().Sub(*seeing) >= maxSilence
	for _, r := range g.rules {
		for _, p := range list {
			if !r.Watch || len(r.Apps) > 0 && !slices.Contains(r.Apps, p.app) {
				continue
			}
			if err := g.judgePulse(ctx, r, p, now, sure); err != nil {
				return err
			}
		}
	}
	return nil
}

// judgePulse tells one rule what the pulse of an application says and was not told
// yet. sure: that it is old does not come from roomnotify seeing too little.
func (g *target) judgePulse(ctx context.Context, r *ruleState, p pulse, now time.Time, sure bool) error {
	fresh := p.fresh(now)
	stops := !p.until.IsZero() && now.Sub(p.until) >= maxSilence && (fresh || sure)
	goesOn := p.watching && fresh
	if !stops && !goesOn {
		return nil
	}
	was, err := g.store.silence(ctx, g.t.Name, r.Name, p.app)
	switch {
	case err != nil:
		return err
	case stops && was == nil:
		w := form.Watch{App: p.app, Since: p.until.UTC(), Why: form.Silent}
		if fresh {
			w.Why = form.Unreachable
		}
		if err := g.tell(ctx, r, form.NewWatch(w, r.Name, g.t.Name, p.moment)); err != nil {
			return err
		}
		g.log.WarnContext(ctx, "nobody watches an application", "rule", r.Name, "sdkappid", p.app, "since", w.Since, "why", w.Why, "fix", "see whether roomwatch runs and reads the list: roomwatch status")
		return g.store.noteSilence(ctx, g.t.Name, r.Name, p.app, silence{Since: p.until, Moment: p.moment, Pulse: p.stored})
	case goesOn && was != nil:
		gap, err := g.pulses.resumed(ctx, p.app, was.Pulse)
		if err != nil {
			return err
		}
		w := form.Watch{App: p.app, Since: was.Since.UTC(), Until: p.stored.UTC(), Why: form.Unheard}
		if gap != nil {
			w.Since, w.Until, w.Why = gap.From.UTC(), gap.To.UTC(), gap.Why
		}
		if err := g.tell(ctx, r, form.NewWatch(w, r.Name, g.t.Name, was.Moment)); err != nil {
			return err
		}
		g.log.InfoContext(ctx, "application is watched again", "rule", r.Name, "sdkappid", p.app, "since", w.Since, "until", w.Until, "why", w.Why)
		return g.store.endSilence(ctx, g.t.Name, r.Name, p.app)
	}
	return nil
}

func (s *store) silenceSubject(target, rule string, app int) string {
	return s.subject(watchPart, target, rule, strconv.Itoa(app))
}

// silence returns what a target was told of an application that nobody watches; nil
// if it was told nothing, or that it is watched again.
func (s *store) silence(ctx context.Context, target, rule string, app int) (*silence, error) {
	data, err := s.last(ctx, s.silenceSubject(target, rule, app))
	if err != nil || data == "" {
		return nil, err
	}
	var was silence
	if err := json.Unmarshal([]byte(data), &was); err != nil {
		return nil, fmt.Errorf("read which silences %s was notified of, application %d: %w", target, app, err)
	}
	return &was, nil
}

func (s *store) noteSilence(ctx context.Context, target, rule string, app int, now silence) error {
	ctx, cancel := context.WithTimeout(ctx, askWait)
	defer cancel()
	body, err := json.Marshal(now)
	if err == nil {
		_, err = s.js.Publish(ctx, s.silenceSubject(target, rule, app), body)
	}
	if err != nil {
		return fmt.Errorf("note which silences %s was notified of, application %d: %w", target, app, err)
	}
	return nil
}

func (s *store) endSilence(ctx context.Context, target, rule string, app int) error {
	ctx, cancel := context.WithTimeout(ctx, askWait)
	defer cancel()
	if err := s.stream.Purge(ctx, jetstream.WithPurgeSubject(s.silenceSubject(target, rule, app))); err != nil {
		return fmt.Errorf("note which silences %s was notified of, application %d: %w", target, app, err)
	}
	return nil
}
