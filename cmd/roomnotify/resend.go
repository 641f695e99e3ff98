package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"
	"golang.org/x/time/rate"

	"roomwatch/cmd/internal/program"
	"roomwatch/cmd/roomnotify/form"
	"roomwatch/cmd/roomnotify/rules"
)

const (
	resendTries = 3
	resendWait  = 5 * time.Minute // the longest that a target may ask for
)

func resendCommand(path *string) *cobra.Command {
	var sel selection
	var to string
	cmd := &cobra.Command{
		Use:   "resend [--target TARGET] [--rule RULE] [--to TARGET]",
		Short: "Send dead letters again",
		Long: "resend sends what targets refused, and what is kept for targets and rules that are gone, again, with the ids it had, and\n" +
			"removes what was taken. What is kept for a target that was renamed or removed goes where --to says. It keeps to the limits\n" +
			"of the targets and may run beside the daemon. Exit status 1 if anything of it remains.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, file, err := configured(*path)
			if err != nil {
				return err
			}
			sel.file = file
			if to != "" && file.Target(to) == nil {
				return fmt.Errorf("%w: there is no target %q in the rule file", errConfig, to)
			}
			return resendCommanded(cmd.Context(), cfg, sel, to, cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&sel.target, "target", "", "what was for this `target` alone; it may be gone")
	cmd.Flags().StringVar(&sel.rule, "rule", "", "what was told by this `rule` alone; it may be gone")
	cmd.Flags().StringVar(&to, "to", "", "send it to this `target` instead of the one it was for")
	return cmd
}

// resendCommanded connects for [resend].
func resendCommanded(ctx context.Context, cfg *config, sel selection, to string, w io.Writer) error {
	err := withStore(ctx, cfg, func(ctx context.Context, s *store) error { return resend(ctx, s, sel, to, w) })
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return fmt.Errorf("stream %s does not exist: nothing was kept", cfg.store().stream())
	}
	return err
}

// An outlet is a target to which a command sends, within its limits.
type outlet struct {
	t     *rules.Target
	send  *sender
	limit window
	pace  *rate.Limiter
}

// resend sends what was there when it began. A notification is removed after it
// was taken: who is stopped between sends it twice, with the same id.
func resend(ctx context.Context, s *store, sel selection, to string, w io.Writer) error {
	outlets := map[string]*outlet{}
	defer func() {
		for _, o := range outlets {
			o.send.client.CloseIdleConnections()
		}
	}()
	var sent, refused, stays int
	known := sel.target == "" || sel.file.Target(sel.target) != nil
	err := s.each(ctx, sel, func(_ string, n *stored) error {
		known = true
		name := n.n.Target
		if to != "" {
			name = to
		}
		t := sel.file.Target(name)
		if t == nil {
			stays++
			return nil
		}
		o := outlets[name]
		if o == nil {
			o = &outlet{t: t, send: newSender(t, nil), limit: window{limit: t.PerMinute()}, pace: newPace(t)}
			outlets[name] = o
		}
		if !pause(ctx, max(o.pace.Reserve().Delay(), time.Until(o.limit.due(time.Now())))) {
			return errStopping
		}
		o.limit.take(time.Now())
		if err := sendAgain(ctx, o.send, n.n); err != nil {
			if ctx.Err() != nil {
				return errStopping
			}
			refused++
			_, _ = fmt.Fprintf(w, "%d  %s  %s: %v\n", n.seq, n.n.ID, t.Host(), err)
			return nil
		}
		sent++
		return s.remove(ctx, n)
	})
	if err != nil {
		return err
	}
	if !known {
		return fmt.Errorf("%w: there is no target %q in the rule file, and nothing is kept for it", errConfig, sel.target)
	}
	_, _ = fmt.Fprintf(w, "%d sent, %d not taken, %d not sent\n", sent, refused, stays)
	if stays > 0 {
		_, _ = fmt.Fprintf(w, "%d are for targets that are not in the rule file: say with --to where they shall go, or remove them with `roomnotify dead drop`\n", stays)
	}
	left, err := later(ctx, s, sel)
	if err != nil {
		return err
	}
	if left > 0 {
		_, _ = fmt.Fprintf(w, "%d more are held back or wait until their target is up: `roomnotify run` tells them\n", left)
	}
	if refused+stays > 0 {
		return program.ErrReported
	}
	return nil
}

// later counts what the daemon will tell by itself.
func later(ctx context.Context, s *store, sel selection) (n uint64, err error) {
	list, err := s.waiting(ctx)
	for _, l := range list {
		if l.part != deadPart && !abandoned(sel.file, l.target, l.rule) && (sel.target == "" || sel.target == l.target) && (sel.rule == "" || sel.rule == l.rule) {
			n += l.count
		}
	}
	return n, err
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
