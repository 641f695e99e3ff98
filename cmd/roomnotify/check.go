package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"

	"github.com/dustin/go-humanize/english"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"roomwatch/cmd/internal/program"
	"roomwatch/cmd/roomnotify/rules"
	"roomwatch/publisher/natsconn"
	"roomwatch/publisher/streams"
)

func checkCommand(path *string) *cobra.Command {
	return &cobra.Command{
		Use:   "check",
		Short: "Check the rule file, targets, NATS, streams and waiting notifications",
		Long: "check tries all that `roomnotify run` needs. It connects to each target, but sends nothing. It is read-only and can run\n" +
			"beside the daemon. Exit status 1 if a check fails.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return check(cmd.Context(), cmd.OutOrStdout(), *path)
		},
	}
}

// A checklist has a line for each thing that roomnotify needs.
type checklist struct{ program.Checklist }

func check(ctx context.Context, w io.Writer, path string) error {
	l := checklist{program.Checklist{W: w, Width: 10}}
	cfg, file, err := configured(path)
	if err != nil {
		l.Line("rules", err, "")
		return program.ErrReported
	}
	l.Line("rules", nil, "%s: %s, %s", cfg.Rules, english.Plural(len(file.Rules), "rule", ""), english.Plural(len(file.Targets), "target", ""))
	if names := unknownVariables(file); names != "" {
		l.Warn("variables", "unknown variables, perhaps misspelt: %s", names)
	}
	for _, warning := range file.Warnings {
		l.Warn("rules", "%s", warning)
	}
	l.targets(ctx, file.Targets)
	l.nats(ctx, cfg, file)
	return l.Err()
}

// targets connects to all of them at once.
func (l *checklist) targets(ctx context.Context, list []rules.Target) {
	errs := make([]error, len(list))
	var all sync.WaitGroup
	for i := range list {
		all.Go(func() { errs[i] = reach(ctx, &list[i]) })
	}
	all.Wait()
	for i, t := range list {
		limit := "any number"
		if n := t.PerMinute(); n > 0 {
			limit = fmt.Sprintf("%d", n)
		}
		err := errs[i]
		if err != nil {
			err = fmt.Errorf("%s: %s at %s: %w; while it is down, what is for it is kept", t.Name, t.Kind, t.Host(), err)
		}
		l.Line("target", err, "%s: %s at %s, %s a minute", t.Name, t.Kind, t.Host(), limit)
	}
}

func (l *checklist) nats(ctx context.Context, cfg *config, file *rules.File) {
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	connect := cfg.Connection("roomnotify", cfg.NATSURL, slog.New(slog.DiscardHandler))
	connect.Denied = giveUp
	conn, err := natsconn.Dial(ctx, connect)
	if err != nil {
		l.Line("nats", err, "")
		return
	}
	defer conn.Close()
	l.Line("nats", nil, "%s", conn.Summary())
	js, err := conn.JetStream()
	if err != nil {
		l.Line("nats", err, "")
		return
	}
	ask, cancel := context.WithTimeout(ctx, askWait)
	defer cancel()
	s, err := js.Stream(ask, cfg.Stream)
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		l.Line("events", nil, "stream %s does not exist yet: `roomnotify run` waits for roomwatch, which makes it", cfg.Stream)
	case err != nil:
		l.Line("events", fmt.Errorf("stream %s: %w", cfg.Stream, cfg.reader().Explain(err)), "")
	default:
		warnings, err := cfg.reader().Check(s.CachedInfo().Config, 0)
		l.Line("events", err, "stream %s has %s", cfg.Stream, english.Plural(int(s.CachedInfo().State.Msgs), "message", ""))
		for _, w := range warnings {
			l.Warn("events", "%s", w)
		}
	}
	store, err := openStore(ctx, js, cfg.store(), false)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		l.Line("store", nil, "stream %s does not exist yet: `roomnotify run` makes it", cfg.store().stream())
	case err != nil:
		l.Line("store", err, "")
	default:
		for _, w := range store.warnings {
			l.Warn("store", "%s", w)
		}
		l.store(ctx, store, file)
		l.leftovers(ctx, cfg, store, file)
	}
	if file.Watches() {
		l.watch(ctx, pulses{js, cfg.Stream, cfg.Prefix})
	}
	l.limits(ctx, cfg, js, s, store) // the last: a request that is not allowed ends the connection
}

// limits looks at what the account allows, if roomnotify may ask for it.
func (l *checklist) limits(ctx context.Context, cfg *config, js jetstream.JetStream, live jetstream.Stream, kept *store) {
	ctx, cancel := context.WithTimeout(ctx, askWait)
	defer cancel()
	a, err := js.AccountInfo(ctx)
	if err = cfg.store().need().Explain(err); errors.Is(err, streams.ErrLimit) {
		l.Line("account", err, "")
		return
	}
	if err != nil {
		l.Warn("account", "its limits are not known: %v", err)
		return
	}
	var info *jetstream.StreamInfo
	if kept != nil {
		info = kept.stream.CachedInfo()
	}
	err = cfg.store().need().CheckAccount(a, info, cfg.store().wanted())
	if live != nil {
		err = errors.Join(err, cfg.reader().CheckAccount(a, live.CachedInfo(), jetstream.StreamConfig{}))
	}
	l.Line("account", err, "within its limits")
}

// store tells what waits, and what waits forever because its rule is gone.
func (l *checklist) store(ctx context.Context, s *store, file *rules.File) {
	waits, err := s.waiting(ctx)
	if err != nil {
		l.Line("store", err, "")
		return
	}
	if len(waits) == 0 {
		l.Line("store", nil, "no notifications wait")
	}
	for _, w := range waits {
		gone := abandoned(file, w.target, w.rule)
		switch {
		case gone && file.Target(w.target) == nil:
			l.Warn("store", "%s for target %s, which is gone: send them with `roomnotify resend --target %s --to TARGET`, or remove them with `roomnotify dead drop --target %s`", shown(w.part, w.count), w.target, w.target, w.target)
		case gone:
			l.Warn("store", "%s for %s by rule %s, which is gone: send them with `roomnotify resend --rule %s`, or remove them with `roomnotify dead drop --rule %s`", shown(w.part, w.count), w.target, w.rule, w.rule, w.rule)
		case w.part == heldPart:
			l.Line("store", nil, "%d held back for %s by rule %s: a digest will have them", w.count, w.target, w.rule)
		case w.part == waitingPart:
			l.Line("store", nil, "%d %s until %s is up, by rule %s", w.count, english.PluralWord(int(w.count), "waits", "wait"), w.target, w.rule)
		default:
			l.Warn("store", "%s for %s by rule %s: see why with `roomnotify dead list`, then run `roomnotify resend --target %s`", shown(w.part, w.count), w.target, w.rule, w.target)
		}
	}
}

func (l *checklist) leftovers(ctx context.Context, cfg *config, s *store, file *rules.File) {
	list, err := s.leftovers(ctx, file, cfg.Stream, cfg.durable)
	if err != nil {
		l.Line("store", err, "")
	}
	for _, text := range list {
		l.Warn("store", "%s", text)
	}
}

// shown says how many there are in a part of the store.
func shown(part string, count uint64) string {
	if part == deadPart {
		return english.Plural(int(count), "dead letter", "")
	}
	return fmt.Sprintf("%d %s", count, map[string]string{heldPart: "held back", waitingPart: "waiting"}[part])
}
