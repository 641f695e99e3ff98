package main

import (
	"fmt"
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
	cmd := &cobra.Command{
		Use:   "test --rule RULE [--target TARGET]",
		Short: "Send an example notification, marked as a test",
		Long: "test sends an example notification of a rule to its targets, or to one of them, marked as a test. It needs no NATS and ignores\n" +
			"limits and quiet hours. Exit status 1 if a target does not accept it.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, file, err := configured(*path)
			if err != nil {
				return err
			}
			r := file.Rule(rule)
			if r == nil {
				return fmt.Errorf("%w: there is no rule %q: choose from %s", errConfig, rule, file.RuleNames())
			}
			if to != "" && !slices.Contains(r.Targets, to) {
				return fmt.Errorf("%w: rule %s has no target %q: choose from %s", errConfig, rule, to, strings.Join(r.Targets, ", "))
			}
			failed := false
			for _, t := range file.Targets {
				if !slices.Contains(r.Targets, t.Name) || to != "" && to != t.Name {
					continue
				}
				if err := newSender(&t, nil).send(cmd.Context(), example(r, t.Name, time.Now())); err != nil {
					failed = true
					_, _ = fmt.Fprintf(cmd.OutOrStdout(), "%s  FAILED  %s: %v\n", t.Name, t.Host(), err)
					continue
				}
				_, _ = fmt.Fprintf(cmd.OutOrStdout(), "%s  ok  %s accepted it\n", t.Name, t.Host())
			}
			if failed {
				return program.ErrReported
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&rule, "rule", "", "the `rule` whose example is sent")
	cmd.Flags().StringVar(&to, "target", "", "only this `target` of the rule")
	_ = cmd.MarkFlagRequired("rule") // fails only for a flag that does not exist
	return cmd
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
