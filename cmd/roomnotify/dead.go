package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"roomwatch/cmd/internal/program"
)

func deadCommand(path *string) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "dead",
		Short: "List, show or remove dead letters",
		Long: "dead shows and removes notifications that are not sent automatically: dead letters, and notifications for targets and rules\n" +
			"that are no longer in the rule file. `roomnotify resend` sends them. It can run beside the daemon.",
		Args: cobra.NoArgs,
	}
	cmd.AddCommand(deadListCommand(path), deadShowCommand(path), deadDropCommand(path))
	return cmd
}

// deadCommanded opens the store for one of them.
func deadCommanded(cmd *cobra.Command, path string, sel selection, do func(context.Context, *store, selection) error) error {
	cfg, file, err := configured(path)
	if err != nil {
		return err
	}
	sel.file = file
	return withStore(cmd.Context(), cfg, func(ctx context.Context, s *store) error { return do(ctx, s, sel) })
}

func deadListCommand(path *string) *cobra.Command {
	var sel selection
	cmd := &cobra.Command{
		Use:   "list [--target TARGET] [--rule RULE]",
		Short: "List dead letters, one line each",
		Long:  "list prints for each its number (for show and drop), time, state, target, rule, content and reason.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return deadCommanded(cmd, *path, sel, func(ctx context.Context, s *store, sel selection) error {
				return s.each(ctx, sel, func(part string, n *stored) error {
					return printLine(cmd.OutOrStdout(), part, n)
				})
			})
		},
	}
	sel.flags(cmd)
	return cmd
}

func printLine(w io.Writer, part string, n *stored) error {
	_, err := fmt.Fprintf(w, "%d  %s  %-7s  %s  %s  %s", n.seq, n.at.UTC().Format(time.RFC3339), part, n.n.Target, n.n.Rule, n.n.Title())
	if err == nil && n.reason != "" {
		_, err = fmt.Fprintf(w, "  (%s)", n.reason)
	}
	if err == nil {
		_, err = fmt.Fprintln(w)
	}
	return err
}

func deadShowCommand(path *string) *cobra.Command {
	return &cobra.Command{
		Use:   "show NUMBER",
		Short: "Show one dead letter as JSON",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			seq, err := number(args[0])
			if err != nil {
				return err
			}
			return deadCommanded(cmd, *path, selection{}, func(ctx context.Context, s *store, _ selection) error {
				part, n, err := s.at(ctx, seq)
				if err != nil {
					return err
				}
				if n == nil {
					return fmt.Errorf("there is no notification %d", seq)
				}
				e := json.NewEncoder(cmd.OutOrStdout())
				e.SetIndent("", "  ")
				return e.Encode(map[string]any{"number": n.seq, "stored": n.at.UTC(), "state": part, "reason": n.reason, "notification": n.n})
			})
		},
	}
}

func deadDropCommand(path *string) *cobra.Command {
	var sel selection
	var all bool
	cmd := &cobra.Command{
		Use:   "drop NUMBER… | --target TARGET | --rule RULE | --all",
		Short: "Remove dead letters without sending them",
		RunE: func(cmd *cobra.Command, args []string) error {
			if (len(args) > 0) == (all || sel.target != "" || sel.rule != "") {
				return fmt.Errorf("%w: say which: either numbers of `roomnotify dead list`, or --target, --rule or --all", errConfig)
			}
			wanted := map[uint64]bool{}
			for _, a := range args {
				seq, err := number(a)
				if err != nil {
					return err
				}
				wanted[seq] = true
			}
			return deadCommanded(cmd, *path, sel, func(ctx context.Context, s *store, sel selection) error {
				removed := 0
				err := s.each(ctx, sel, func(_ string, n *stored) error {
					if len(args) > 0 && !wanted[n.seq] {
						return nil
					}
					removed++
					return s.remove(ctx, n)
				})
				if err != nil {
					return err
				}
				_, _ = fmt.Fprintf(cmd.OutOrStdout(), "%d removed\n", removed)
				if removed < len(wanted) {
					_, _ = fmt.Fprintf(cmd.OutOrStdout(), "%d of the numbers are of none that `roomnotify dead list` shows\n", len(wanted)-removed)
					return program.ErrReported
				}
				return nil
			})
		},
	}
	sel.flags(cmd)
	cmd.Flags().BoolVar(&all, "all", false, "everything that roomnotify dead list shows")
	return cmd
}

func number(s string) (uint64, error) {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("%w: %q is not a number of `roomnotify dead list`", errConfig, s)
	}
	return n, nil
}
