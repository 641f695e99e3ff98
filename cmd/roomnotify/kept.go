package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"roomwatch/cmd/roomnotify/rules"
	"roomwatch/publisher/natsconn"
)

// A selection says which of the notifications that nobody will tell by himself a
// command is about: dead letters, and what is held or waits for a target or a
// rule that is no longer in the rule file.
type selection struct {
	target, rule string // empty: any
	file         *rules.File
}

// parts are where the store keeps notifications, dead letters first.
func parts() []string { return []string{deadPart, waitingPart, heldPart} }

// abandoned reports whether the rule file has no use for what is kept.
func abandoned(file *rules.File, target, rule string) bool {
	r := file.Rule(rule)
	return r == nil || !slices.Contains(r.Targets, target)
}

// each calls f with what is selected and was there when it began, in the order
// of the store.
func (s *store) each(ctx context.Context, sel selection, f func(part string, n *stored) error) error {
	end, err := s.end(ctx)
	if err != nil {
		return err
	}
	anyOr := func(name string) string {
		if name == "" {
			return "*"
		}
		return name
	}
	for _, part := range parts() {
		subject := s.subject(part, anyOr(sel.target), anyOr(sel.rule))
		for from := uint64(0); ; {
			n, err := s.next(ctx, subject, from)
			if err != nil {
				return err
			}
			if n == nil || n.seq > end {
				break
			}
			from = n.seq + 1
			if part != deadPart && !abandoned(sel.file, n.n.Target, n.n.Rule) {
				continue // roomnotify tells it
			}
			if err := f(part, n); err != nil {
				return err
			}
		}
	}
	return nil
}

// flags lets a command ask for a selection.
func (sel *selection) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&sel.target, "target", "", "only notifications for this `target`, which may be removed from the rule file")
	cmd.Flags().StringVar(&sel.rule, "rule", "", "only notifications of this `rule`, which may be removed from the rule file")
}

// withStore connects to NATS and opens the store for a command. Without a store
// there is nothing for it.
func withStore(ctx context.Context, cfg *config, do func(context.Context, *store) error) error {
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	connect := cfg.Connection("roomnotify", cfg.NATSURL, slog.New(slog.DiscardHandler))
	connect.Denied = giveUp
	conn, err := natsconn.Dial(ctx, connect)
	if err != nil {
		return err
	}
	defer conn.Close()
	js, err := conn.JetStream()
	if err != nil {
		return err
	}
	s, err := openStore(ctx, js, cfg.store(), false)
	if err == nil {
		err = do(ctx, s)
	}
	if cause := context.Cause(ctx); isPermission(cause) {
		return cause
	}
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return fmt.Errorf("stream %s does not exist: nothing was kept", cfg.store().stream())
	}
	return cfg.store().need().Explain(err)
}

// A waits is what the store keeps on one subject.
type waits struct {
	part, target, rule string
	count              uint64
}

// waiting returns what is held, waits and is dead, by subject.
func (s *store) waiting(ctx context.Context) ([]waits, error) {
	var list []waits
	for _, part := range parts() {
		counts, err := s.counts(ctx, part)
		if err != nil {
			return nil, err
		}
		for subject, n := range counts {
			if tokens := strings.Split(subject, "."); len(tokens) == 3 {
				list = append(list, waits{tokens[0], tokens[1], tokens[2], n})
			}
		}
	}
	slices.SortFunc(list, func(a, b waits) int {
		return strings.Compare(a.part+a.target+a.rule, b.part+b.target+b.rule)
	})
	return list, nil
}

// counts returns how many messages there are on each subject of a part, without
// the name of the installation.
func (s *store) counts(ctx context.Context, part string) (map[string]uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, askWait)
	defer cancel()
	info, err := s.stream.Info(ctx, jetstream.WithSubjectFilter(s.subject(part, ">")))
	if err != nil {
		return nil, fmt.Errorf("inspect the waiting notifications: %w", err)
	}
	counts := map[string]uint64{}
	for subject, n := range info.State.Subjects {
		counts[strings.TrimPrefix(subject, s.prefix+".")] = n
	}
	return counts, nil
}

// leftovers returns what nothing uses any more, each with its fix: messages on
// subjects of an earlier version, the positions of targets that no rule names, and what
// is stored of the watch for rules that report it no more.
func (s *store) leftovers(ctx context.Context, file *rules.File, stream string, durable func(target string) string) ([]string, error) {
	var list []string
	for _, part := range append(parts(), placePart, watchPart) {
		counts, err := s.counts(ctx, part)
		if err != nil {
			return nil, err
		}
		for _, subject := range slices.Sorted(maps.Keys(counts)) {
			tokens := strings.Split(subject, ".")
			full := s.prefix + "." + subject
			switch {
			case part == watchPart && (len(tokens) != 4 || abandoned(file, tokens[1], tokens[2]) || !file.Rule(tokens[2]).Watch):
				list = append(list, fmt.Sprintf("%s, which no rule uses any more: remove it with `nats stream purge %s --subject=%s`", full, s.name, full))
			case part == watchPart:
			case part != placePart && len(tokens) != 3:
				list = append(list, fmt.Sprintf("%d on %s, which is no subject of this version: read them with `nats stream view %s --subject=%s`, then remove them with `nats stream purge %s --subject=%s`",
					counts[subject], full, s.name, full, s.name, full))
			case part == placePart && len(tokens) == 2 && len(file.Of(tokens[1])) == 0:
				list = append(list, fmt.Sprintf("the position of target %s, which no rule names: if it does not come back, remove it with `nats consumer rm %s %s` and `nats stream purge %s --subject=%s`",
					tokens[1], stream, durable(tokens[1]), s.name, full))
			}
		}
	}
	return list, nil
}

// warnOfLeftovers logs what nothing will send by itself.
func (d *daemon) warnOfLeftovers(ctx context.Context, s *store) error {
	list, err := s.waiting(ctx)
	if err != nil {
		return err
	}
	for _, w := range list {
		if abandoned(d.file, w.target, w.rule) {
			d.log.WarnContext(ctx, "notifications are kept for a target or a rule that is gone", "target", w.target, "rule", w.rule, "state", w.part, "notifications", w.count,
				"fix", "see them with `roomnotify dead list`, send them with `roomnotify resend`, or remove them with `roomnotify dead drop`")
		}
	}
	others, err := s.leftovers(ctx, d.file, d.cfg.Stream, d.cfg.durable)
	for _, text := range others {
		d.log.WarnContext(ctx, "stream of roomnotify has leftover data", "stream", s.name, "finding", text)
	}
	return err
}

// end returns the sequence number of the last message in the store.
func (s *store) end(ctx context.Context) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, askWait)
	defer cancel()
	i, err := s.stream.Info(ctx)
	if err != nil {
		return 0, fmt.Errorf("inspect the waiting notifications: %w", err)
	}
	return i.State.LastSeq, nil
}

// at returns what is kept at a sequence number of the store; nil if there is nothing.
func (s *store) at(ctx context.Context, seq uint64) (part string, n *stored, err error) {
	n, err = s.next(ctx, s.subject(">"), seq)
	if err != nil || n == nil || n.seq != seq {
		return "", nil, err
	}
	part, _, _ = strings.Cut(strings.TrimPrefix(n.subject, s.prefix+"."), ".")
	return part, n, nil
}

func isPermission(err error) bool { return errors.Is(err, nats.ErrPermissionViolation) }
