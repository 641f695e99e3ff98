package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

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

// withStore connects to NATS and opens the store for a command.
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
		ask, cancel := context.WithTimeout(ctx, askWait)
		info, err := s.stream.Info(ask, jetstream.WithSubjectFilter(s.subject(part, ">")))
		cancel()
		if err != nil {
			return nil, fmt.Errorf("look at what waits: %w", err)
		}
		for subject, n := range info.State.Subjects {
			if tokens := strings.Split(strings.TrimPrefix(subject, s.prefix+"."), "."); len(tokens) == 3 {
				list = append(list, waits{tokens[0], tokens[1], tokens[2], n})
			}
		}
	}
	slices.SortFunc(list, func(a, b waits) int {
		return strings.Compare(a.part+a.target+a.rule, b.part+b.target+b.rule)
	})
	return list, nil
}

// end returns the place of the last message in the store.
func (s *store) end(ctx context.Context) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, askWait)
	defer cancel()
	i, err := s.stream.Info(ctx)
	if err != nil {
		return 0, fmt.Errorf("look at what waits: %w", err)
	}
	return i.State.LastSeq, nil
}

// at returns what is kept at a place in the store; nil if there is nothing.
func (s *store) at(ctx context.Context, seq uint64) (part string, n *stored, err error) {
	n, err = s.next(ctx, s.subject(">"), seq)
	if err != nil || n == nil || n.seq != seq {
		return "", nil, err
	}
	part, _, _ = strings.Cut(strings.TrimPrefix(n.subject, s.prefix+"."), ".")
	return part, n, nil
}

func isPermission(err error) bool { return errors.Is(err, nats.ErrPermissionViolation) }
