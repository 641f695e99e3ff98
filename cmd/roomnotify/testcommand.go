package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"roomwatch/cmd/internal/program"
	"roomwatch/cmd/roomnotify/form"
	"roomwatch/cmd/roomnotify/rules"
)

// A testRun is what `roomnotify test` is asked for.
type testRun struct {
	rule, to, event string
	show            bool
	since           time.Duration
}

func testCommand(path *string) *cobra.Command {
	var ask testRun
	cmd := &cobra.Command{
		Use:   "test {--rule RULE [--event TYPE] [--show] | --since 24h} [--target TARGET]",
		Short: "Send or show an example notification, or show what would have been sent",
		Long: "test sends an example notification of a rule to its targets, or to one of them, marked as a test. It needs no NATS and ignores\n" +
			"limits and quiet hours. Exit status 1 if a target does not accept it.\n\n" +
			"--event chooses what the example tells, of what the rule tells: a type of its events, such as room.ended, milestone,\n" +
			"watch.stopped, watch.resumed, or digest. With --show nothing is sent: the JSON or the e-mail that each target would get is printed,\n" +
			"with (secret) in place of each secret.\n\n" +
			"With --since it sends nothing and stores nothing: it reads the event stream from then on, and prints one line for each notification\n" +
			"that a roomnotify with these rules would have sent, had it started then and every target accepted each at once: with limits, quiet\n" +
			"hours and digests. --rule and --target select what is printed. It makes consumers on the event stream, and removes them; the\n" +
			"user of NATS needs the permission for that, as `roomwatch tail` does.",
		Example: "  roomnotify test --rule news\n  roomnotify test --rule news --event digest --show\n  roomnotify test --since 24h --target team",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, file, err := configured(*path)
			if err != nil {
				return err
			}
			past := cmd.Flags().Changed("since")
			if err := ask.check(file, past); err != nil {
				return err
			}
			if past {
				return (&dryRun{cfg: cfg, file: file, since: ask.since, rule: ask.rule, target: ask.to, w: cmd.OutOrStdout()}).run(cmd.Context())
			}
			return ask.run(cmd.Context(), cmd.OutOrStdout(), file)
		},
	}
	cmd.Flags().StringVar(&ask.rule, "rule", "", "the `rule` whose example is sent, or whose notifications are shown")
	cmd.Flags().StringVar(&ask.to, "target", "", "only this `target`")
	cmd.Flags().StringVar(&ask.event, "event", "", "the `type` of what the example tells, such as room.ended, milestone or digest; without it the first that the rule has")
	cmd.Flags().BoolVar(&ask.show, "show", false, "print what each target would get, and send nothing")
	cmd.Flags().DurationVar(&ask.since, "since", 0, "show what would have been sent in the last `time`, such as 24h, and send nothing")
	return cmd
}

// check says what is wrong with the flags.
func (ask *testRun) check(file *rules.File, past bool) error {
	r := file.Rule(ask.rule)
	switch {
	case past && ask.since <= 0:
		return fmt.Errorf("%w: --since is %s: write how far back, such as 24h", errConfig, ask.since)
	case past && (ask.show || ask.event != ""):
		return fmt.Errorf("%w: --show and --event are for an example, and --since shows what happened: use one of them", errConfig)
	case !past && ask.rule == "":
		return fmt.Errorf("%w: say with --rule whose example is sent, or with --since from when on notifications are shown", errConfig)
	case ask.rule != "" && r == nil:
		return fmt.Errorf("%w: there is no rule %q: choose from %s", errConfig, ask.rule, file.RuleNames())
	case ask.to != "" && r != nil && !slices.Contains(r.Targets, ask.to):
		return fmt.Errorf("%w: rule %s has no target %q: choose from %s", errConfig, ask.rule, ask.to, strings.Join(r.Targets, ", "))
	case ask.to != "" && file.Target(ask.to) == nil:
		return fmt.Errorf("%w: there is no target %q in the rule file", errConfig, ask.to)
	case past:
		return nil
	}
	if ask.event == "" {
		ask.event = examplesOf(r)[0]
	}
	return checkExample(r, ask.event)
}

// run sends the example of a rule to its targets, or to one of them, or shows it.
func (ask *testRun) run(ctx context.Context, w io.Writer, file *rules.File) error {
	r := file.Rule(ask.rule)
	failed := false
	for _, t := range file.Targets {
		if !slices.Contains(r.Targets, t.Name) || ask.to != "" && ask.to != t.Name {
			continue
		}
		n := example(r, ask.event, t.Name, time.Now())
		var shown string
		var err error
		if ask.show {
			shown, err = preview(&t, n)
		} else {
			err = sendExample(ctx, &t, n)
		}
		switch {
		case err != nil:
			failed = true
			_, _ = fmt.Fprintf(w, "%s  FAILED  %s: %v\n", t.Name, t.Host(), err)
		case ask.show:
			_, _ = fmt.Fprintf(w, "%s: %s at %s would get\n%s\n\n", t.Name, t.Kind, t.Host(), shown)
		default:
			_, _ = fmt.Fprintf(w, "%s  ok  %s accepted it\n", t.Name, t.Host())
		}
	}
	if failed {
		return program.ErrReported
	}
	return nil
}

// sendExample sends it once.
func sendExample(ctx context.Context, t *rules.Target, n form.Notification) error {
	s := newSender(t, nil)
	var missed string
	s.missed = func(_ context.Context, _ form.Notification, _ int, who string) { missed = who }
	err := s.send(ctx, n)
	if err == nil && missed != "" {
		err = fmt.Errorf("accepted it, but not for %s", missed)
	}
	return err
}

// preview returns what a target would get, without its secrets.
func preview(t *rules.Target, n form.Notification) (string, error) {
	hide, to := hider(t), spokenTo(t)
	to.Values = t.ShownValues(form.Hidden)
	text, err := to.Preview(n, time.Now())
	if err != nil {
		return "", errors.New(hide.Replace(err.Error()))
	}
	return hide.Replace(text), nil
}
