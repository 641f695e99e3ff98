package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"roomwatch/cmd/internal/program"
	"roomwatch/cmd/roomnotify/form"
	"roomwatch/cmd/roomnotify/rules"
	"roomwatch/publisher/events"
)

func testCommand(path *string) *cobra.Command {
	var rule, to string
	var since time.Duration
	cmd := &cobra.Command{
		Use:   "test {--rule RULE | --since 24h} [--target TARGET]",
		Short: "Send an example notification, or show what would have been sent",
		Long: "test sends an example notification of a rule to its targets, or to one of them, marked as a test. It needs no NATS and ignores\n" +
			"limits and quiet hours. Exit status 1 if a target does not accept it.\n\n" +
			"With --since it sends nothing and stores nothing: it reads the event stream from then on, and prints one line for each notification\n" +
			"that a roomnotify with these rules would have sent, had it started then and every target accepted each at once: with limits, quiet\n" +
			"hours and digests. --rule and --target select what is printed. It makes consumers on the event stream, and removes them; the\n" +
			"user of NATS needs the permission for that, as `roomwatch tail` does.",
		Example: "  roomnotify test --rule news\n  roomnotify test --since 24h --target team",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, file, err := configured(*path)
			if err != nil {
				return err
			}
			past := cmd.Flags().Changed("since")
			if err := checkTest(file, rule, to, past, since); err != nil {
				return err
			}
			if past {
				return (&dryRun{cfg: cfg, file: file, since: since, rule: rule, target: to, w: cmd.OutOrStdout()}).run(cmd.Context())
			}
			return sendExamples(cmd.Context(), cmd.OutOrStdout(), file, file.Rule(rule), to)
		},
	}
	cmd.Flags().StringVar(&rule, "rule", "", "the `rule` whose example is sent, or whose notifications are shown")
	cmd.Flags().StringVar(&to, "target", "", "only this `target`")
	cmd.Flags().DurationVar(&since, "since", 0, "show what would have been sent in the last `time`, such as 24h, and send nothing")
	return cmd
}

// checkTest says what is wrong with the flags.
func checkTest(file *rules.File, rule, to string, past bool, since time.Duration) error {
	r := file.Rule(rule)
	switch {
	case past && since <= 0:
		return fmt.Errorf("%w: --since is %s: write how far back, such as 24h", errConfig, since)
	case !past && rule == "":
		return fmt.Errorf("%w: say with --rule whose example is sent, or with --since from when on notifications are shown", errConfig)
	case rule != "" && r == nil:
		return fmt.Errorf("%w: there is no rule %q: choose from %s", errConfig, rule, file.RuleNames())
	case to != "" && r != nil && !slices.Contains(r.Targets, to):
		return fmt.Errorf("%w: rule %s has no target %q: choose from %s", errConfig, rule, to, strings.Join(r.Targets, ", "))
	case to != "" && file.Target(to) == nil:
		return fmt.Errorf("%w: there is no target %q in the rule file", errConfig, to)
	}
	return nil
}

// sendExamples sends the example of a rule to its targets, or to one of them.
func sendExamples(ctx context.Context, w io.Writer, file *rules.File, r *rules.Rule, to string) error {
	failed := false
	for _, t := range file.Targets {
		if !slices.Contains(r.Targets, t.Name) || to != "" && to != t.Name {
			continue
		}
		s := newSender(&t, nil)
		var missed string
		s.missed = func(_ context.Context, _ form.Notification, _ int, who string) { missed = who }
		err := s.send(ctx, example(r, t.Name, time.Now()))
		if err == nil && missed != "" {
			err = fmt.Errorf("accepted it, but not for %s", missed)
		}
		if err != nil {
			failed = true
			_, _ = fmt.Fprintf(w, "%s  FAILED  %s: %v\n", t.Name, t.Host(), err)
			continue
		}
		_, _ = fmt.Fprintf(w, "%s  ok  %s accepted it\n", t.Name, t.Host())
	}
	if failed {
		return program.ErrReported
	}
	return nil
}

// example is what a rule would tell of a room that does not exist, or that nobody
// watches if it tells nothing else. Its id is new
// each time, so that no receiver takes a second test for the first.
func example(r *rules.Rule, target string, now time.Time) form.Notification {
	now = now.UTC().Truncate(time.Millisecond)
	if len(r.Events) == 0 && len(r.Milestones) == 0 {
		n := form.NewWatch(form.Watch{App: 88888888, Since: now.Add(-5 * time.Minute), Why: form.Silent}, r.Name, target, now)
		n.Test = true
		return n
	}
	e := events.Event{
		SpecVersion: "1.0", ID: fmt.Sprintf("TEST%d-%016d", now.UnixMilli(), 1), Source: "/live/88888888", Type: events.RoomCreated, Subject: "example",
		Time: now, Sequence: fmt.Sprintf("%016d", 1), DataContentType: "application/json",
		Data: events.Data{Version: 1, Sweep: 1, Room: events.Room{
			RoomID: "example", RoomName: "An example of roomnotify", OwnerAccount: "nobody", Category: []int64{}, CreateTime: now.Add(-time.Hour).Unix(), ViewCount: 1,
		}},
	}
	var milestone int64
	if len(r.Events) > 0 {
		e.Type = events.Type(r.Events[0])
	} else {
		milestone = r.Milestones[0]
		e.Type, e.Data.Room.ViewCount = events.ViewCountChanged, milestone
	}
	if e.Type != events.RoomCreated {
		e.Data.Version = 2
	}
	n := form.New(e, r.Name, target, milestone)
	n.Test = true
	return n
}
