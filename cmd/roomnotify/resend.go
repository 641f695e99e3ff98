package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/dustin/go-humanize/english"
	"github.com/spf13/cobra"
	"golang.org/x/time/rate"

	"roomwatch/cmd/internal/program"
	"roomwatch/cmd/roomnotify/form"
	"roomwatch/cmd/roomnotify/rules"
	"roomwatch/diff/retry"
)

const (
	resendTries = 3
	resendWait  = 5 * time.Minute // the longest that a target may ask for
	maxFailed   = 3               // notifications in a row that fail, before their target is marked down
)

func resendCommand(path *string) *cobra.Command {
	var sel selection
	var to string
	cmd := &cobra.Command{
		Use:   "resend [--target TARGET] [--rule RULE] [--to TARGET]",
		Short: "Send dead letters again",
		Long: "resend sends dead letters again, and notifications for targets and rules that were removed from the rule file. They keep\n" +
			"their ids, and are removed when the target has accepted them. --to sends those of a renamed or removed target to another one.\n" +
			"resend respects the limits of the targets and can run beside the daemon. Exit status 1 if any remain.",
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
	sel.flags(cmd)
	cmd.Flags().StringVar(&to, "to", "", "send them to this `target` instead")
	return cmd
}

// resendCommanded connects for [resend].
func resendCommanded(ctx context.Context, cfg *config, sel selection, to string, w io.Writer) error {
	return withStore(ctx, cfg, func(ctx context.Context, s *store) error {
		r := &resending{store: s, sel: sel, to: to, w: w, outlets: map[string]*outlet{}}
		return r.run(ctx)
	})
}

// An outlet is a target to which a command sends, within its limits.
type outlet struct {
	t      *rules.Target
	send   *sender
	limit  window
	pace   *rate.Limiter
	failed int    // how many were not accepted since the last one was
	closed string // why it gets no more; empty while it does
	stays  int    // how many it did not get for that
}

// resending is one call of the command.
type resending struct {
	store   *store
	sel     selection
	to      string // "": to the targets that the notifications are for
	w       io.Writer
	outlets map[string]*outlet

	transport http.RoundTripper // nil: a usual one for each target

	sent, refused, lost int // lost: for targets that are not in the rule file
}

// run sends what was there when it began. A notification is removed after it was
// taken: who is stopped between sends it twice, with the same id.
func (r *resending) run(ctx context.Context) error {
	defer func() {
		for _, o := range r.outlets {
			o.send.client.CloseIdleConnections()
		}
	}()
	known := r.sel.target == "" || r.sel.file.Target(r.sel.target) != nil
	err := r.store.each(ctx, r.sel, func(_ string, n *stored) error {
		known = true
		return r.one(ctx, n)
	})
	if err != nil {
		return err
	}
	if !known {
		return fmt.Errorf("%w: there is no target %q in the rule file, and nothing is kept for it", errConfig, r.sel.target)
	}
	stays := r.lost
	for _, o := range r.outlets {
		stays += o.stays
	}
	_, _ = fmt.Fprintf(r.w, "%d sent, %d not accepted, %d not sent\n", r.sent, r.refused, stays)
	for _, name := range slices.Sorted(maps.Keys(r.outlets)) {
		if o := r.outlets[name]; o.closed != "" {
			_, _ = fmt.Fprintf(r.w, "%s %s: %d %s not sent to it; run the command again later\n", name, o.closed, o.stays, english.PluralWord(o.stays, "was", "were"))
		}
	}
	if r.lost > 0 {
		_, _ = fmt.Fprintf(r.w, "%s for targets that are not in the rule file: say with --to where to send %s, or remove %[2]s with `roomnotify dead drop`\n",
			english.Plural(r.lost, "is", "are"), english.PluralWord(r.lost, "it", "them"))
	}
	left, err := later(ctx, r.store, r.sel)
	if err != nil {
		return err
	}
	if left > 0 {
		_, _ = fmt.Fprintf(r.w, "%s until the target is up: `roomnotify run` sends %s\n",
			english.Plural(int(left), "more is held back or waits", "more are held back or wait"), english.PluralWord(int(left), "it", "them"))
	}
	if r.refused+stays > 0 {
		return program.ErrReported
	}
	return nil
}

// one sends one notification, if there is where to.
func (r *resending) one(ctx context.Context, n *stored) error {
	name := n.n.Target
	if r.to != "" {
		name = r.to
	}
	t := r.sel.file.Target(name)
	if t == nil {
		r.lost++
		return nil
	}
	o := r.outlets[name]
	if o == nil {
		o = &outlet{t: t, send: newSender(t, r.transport), limit: window{limit: t.PerMinute()}, pace: newPace(t)}
		o.send.missed = func(_ context.Context, n form.Notification, _ int, who string) {
			_, _ = fmt.Fprintf(r.w, "%s  %s: accepted it, but not for %s\n", n.ID, t.Host(), who)
		}
		r.outlets[name] = o
	}
	if o.closed != "" {
		o.stays++
		return nil
	}
	if retry.Sleep(ctx, max(o.pace.Reserve().Delay(), time.Until(o.limit.due(time.Now())))) != nil {
		return errStopping
	}
	o.limit.take(time.Now())
	err := sendAgain(ctx, o.send, n.n)
	if ctx.Err() != nil && err != nil {
		return errStopping
	}
	if err != nil {
		r.refused++
		o.judge(err)
		_, _ = fmt.Fprintf(r.w, "%d  %s  %s: %v\n", n.seq, n.n.ID, t.Host(), err)
		return nil
	}
	r.sent++
	o.failed = 0
	return r.store.remove(ctx, n)
}

// judge closes the outlet if its target is to be left alone: it is busy, or has
// failed for several notifications, which are not to blame then.
func (o *outlet) judge(err error) {
	no, ok := errors.AsType[*form.Refusal](err)
	if !ok || no.Permanent {
		return
	}
	o.failed++
	switch {
	case no.Busy:
		o.closed = "is busy"
	case o.failed >= maxFailed:
		o.closed = "is down"
	}
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
		if retry.Sleep(ctx, max(no.After, time.Duration(try)*time.Second)) != nil {
			return err
		}
	}
}
