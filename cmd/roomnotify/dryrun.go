package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/cmd/roomnotify/form"
	"roomwatch/cmd/roomnotify/rules"
	"roomwatch/publisher/natsconn"
)

// A dryRun is `roomnotify test --since`: what would have been told. It sends nothing
// and stores nothing; its consumers on the event stream are removed at the end.
type dryRun struct {
	cfg          *config
	file         *rules.File
	since        time.Duration
	rule, target string // empty: all
	w            io.Writer
}

func (d *dryRun) run(ctx context.Context) error {
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	connect := d.cfg.Connection("roomnotify", d.cfg.NATSURL, slog.New(slog.DiscardHandler))
	connect.Denied = giveUp
	connect.Inbox = "" // it may read as any subscriber does, and the user of the daemon may not
	conn, err := natsconn.Dial(ctx, connect)
	if err != nil {
		return err
	}
	defer conn.Close()
	js, err := conn.JetStream()
	if err != nil {
		return err
	}
	err = d.over(ctx, js)
	if cause := context.Cause(ctx); isPermission(cause) {
		return cause
	}
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return fmt.Errorf("stream %s does not exist: nothing has happened", d.cfg.Stream)
	}
	return d.cfg.reader().Explain(err)
}

// over lets the past happen again for each target, and prints what they were told.
func (d *dryRun) over(ctx context.Context, js jetstream.JetStream) error {
	ask, cancel := context.WithTimeout(ctx, askWait)
	defer cancel()
	s, err := js.Stream(ask, d.cfg.Stream)
	if err != nil {
		return fmt.Errorf("stream %s: %w", d.cfg.Stream, err)
	}
	end := s.CachedInfo().TimeStamp
	if end.IsZero() {
		end = time.Now() // a server that does not say
	}
	p := &past{js: js, stream: d.cfg.Stream, prefix: d.cfg.Prefix, from: end.Add(-d.since), end: end}
	var all []telling
	var summary []string
	for i := range d.file.Targets {
		t := &d.file.Targets[i]
		if len(d.file.Of(t.Name)) == 0 || d.target != "" && d.target != t.Name {
			continue
		}
		r, err := p.tell(ctx, d.file, t)
		if err != nil {
			return err
		}
		told := slices.DeleteFunc(r.told, func(x telling) bool { return d.rule != "" && d.rule != x.n.Rule })
		all = append(all, told...)
		summary = append(summary, summed(t.Name, told, r))
	}
	slices.SortStableFunc(all, func(a, b telling) int { return a.at.Compare(b.at) })
	return d.print(all, summary)
}

// summed says what one target would have been told, in one line.
func summed(target string, told []telling, r *retelling) string {
	digests := 0
	for _, x := range told {
		if x.n.Digest != nil {
			digests++
		}
	}
	return fmt.Sprintf("%s: notifications %d, digests %d, held back at the end %d, late events skipped %d", target, len(told), digests, r.held, r.late)
}

// print prints one line for each notification, and one for each target.
func (d *dryRun) print(all []telling, summary []string) error {
	names, rule := 0, 0
	for _, x := range all {
		names, rule = max(names, len(x.n.Target)), max(rule, len(x.n.Rule))
	}
	w := bufio.NewWriter(d.w)
	for _, x := range all {
		t := d.file.Target(x.n.Target)
		to := form.Target{Kind: t.Kind, Texts: t.Texts, Digests: t.Digests, Language: t.Language, Zone: t.Location()}
		_, _ = fmt.Fprintf(w, "%s  %-*s  %-*s  %s\n", x.at.UTC().Format("2006-01-02T15:04:05Z"), names, x.n.Target, rule, x.n.Rule, to.Title(x.n))
	}
	_, _ = fmt.Fprintf(w, "%s\n", cmp.Or(strings.Join(summary, "\n"), "no rule names the target: it would get nothing"))
	return w.Flush()
}
