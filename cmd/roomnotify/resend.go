package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"roomwatch/cmd/internal/program"
	"roomwatch/cmd/roomnotify/form"
	"roomwatch/cmd/roomnotify/rules"
	"roomwatch/publisher"
)

const (
	resendTries = 3
	resendWait  = 5 * time.Minute // the longest that a target may ask for
)

func resendCommand(path *string) *cobra.Command {
	var to, rule string
	cmd := &cobra.Command{
		Use:   "resend [--target TARGET] [--rule RULE]",
		Short: "Send dead letters again",
		Long: "resend sends what targets refused, and what waits for targets that are down, again, with the ids it had, and removes what\n" +
			"was taken. It keeps to the limits of the targets and may run beside the daemon. Exit status 1 if anything was not taken.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, file, err := configured(*path)
			if err != nil {
				return err
			}
			return resendCommanded(cmd.Context(), cfg, file, to, rule, cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&to, "target", "", "for this `target` alone")
	cmd.Flags().StringVar(&rule, "rule", "", "by this `rule` alone")
	return cmd
}

// resendCommanded connects for [resend].
func resendCommanded(ctx context.Context, cfg *config, file *rules.File, to, rule string, w io.Writer) error {
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	connect := cfg.ConnectConfig("roomnotify", cfg.NATSURL, slog.New(slog.DiscardHandler))
	connect.Denied = func(err error) { giveUp(fmt.Errorf("resend: %w", err)) }
	nc, err := publisher.Dial(ctx, connect)
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return fmt.Errorf("open jetstream: %w", err)
	}
	s, err := openStore(ctx, js, cfg.store(), false)
	if err == nil {
		err = resend(ctx, s, file, to, rule, w)
	}
	if cause := context.Cause(ctx); errors.Is(cause, nats.ErrPermissionViolation) {
		return cause
	}
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return fmt.Errorf("stream %s does not exist: nothing was kept", cfg.store().stream())
	}
	return err
}

// resend sends what was there when it began, each target's in its order. A
// notification is removed after it was taken: who is stopped between sends it
// twice, with the same id.
func resend(ctx context.Context, s *store, file *rules.File, to, rule string, w io.Writer) error {
	sent, kept, named := 0, 0, false
	for i := range file.Targets {
		t := &file.Targets[i]
		if to != "" && to != t.Name {
			continue
		}
		named = true
		for _, part := range []string{deadPart, waitingPart} {
			a, b, err := resendTo(ctx, s, part, t, rule, w)
			sent, kept = sent+a, kept+b
			if err != nil {
				return err
			}
		}
	}
	if !named {
		return fmt.Errorf("%w: there is no target %q in the rule file", errConfig, to)
	}
	_, _ = fmt.Fprintf(w, "%d sent, %d not taken\n", sent, kept)
	if kept > 0 {
		return program.ErrReported
	}
	return nil
}

func resendTo(ctx context.Context, s *store, part string, t *rules.Target, rule string, w io.Writer) (sent, kept int, err error) {
	if rule == "" {
		rule = "*"
	}
	subject := s.subject(part, t.Name, rule)
	end, err := s.end(ctx)
	if err != nil {
		return 0, 0, err
	}
	sender, limit, pace := newSender(t, nil), window{limit: t.PerMinute()}, newPace(t)
	defer sender.client.CloseIdleConnections()
	for from := uint64(0); ; {
		l, err := s.next(ctx, subject, from)
		if err != nil {
			return sent, kept, err
		}
		if l == nil || l.seq > end {
			return sent, kept, nil
		}
		from = l.seq + 1
		if !pause(ctx, max(pace.Reserve().Delay(), time.Until(limit.due(time.Now())))) {
			return sent, kept, errStopping
		}
		limit.take(time.Now())
		if err := sendAgain(ctx, sender, l.n); err != nil {
			if ctx.Err() != nil {
				return sent, kept, errStopping
			}
			kept++
			_, _ = fmt.Fprintf(w, "%s  %s: %v\n", l.n.ID, t.Host(), err)
			continue
		}
		sent++
		if err := s.remove(ctx, l); err != nil {
			return sent, kept, err
		}
	}
}

// sendAgain waits as the target asks, a few times.
func sendAgain(ctx context.Context, s *sender, n form.Notification) error {
	for try := 1; ; try++ {
		err := s.send(ctx, n)
		no, ok := errors.AsType[*form.Refusal](err)
		if !ok || no.Permanent || try == resendTries || no.After > resendWait {
			return err
		}
		if !pause(ctx, max(no.After, time.Duration(try)*time.Second)) {
			return err
		}
	}
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
