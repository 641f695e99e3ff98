package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"roomwatch/cmd/internal/program"
	"roomwatch/cmd/roomaudit/trail"
)

func roomCommand() *cobra.Command {
	var at string
	cmd := &cobra.Command{
		Use:   "room ROOM",
		Short: "Print the lives of a room; with --at, whether it was live then",
		Long: "room prints each life of a room that is on record: when it began and ended, how long it was, its view counts, the RequestIds that\n" +
			"prove it, and the gaps of the record that touch it. With --at it answers yes, no or unknown, and why. It does not check the\n" +
			"trail: `roomaudit verify` does.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := configured()
			if err != nil {
				return err
			}
			when, err := moment(at, time.Now(), 0)
			if err != nil {
				return program.BadFlags(fmt.Errorf("--at %w", err))
			}
			h, err := readHistory(cmd.Context(), c.Dir, args[0])
			if err != nil {
				return err
			}
			if at == "" {
				return h.print(cmd.OutOrStdout(), args[0])
			}
			is, why := h.at(when)
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: %s\n", is, why)
			return err
		},
	}
	cmd.Flags().StringVar(&at, "at", "", "answer whether it was live at this `time`: 2026-11-23T21:40:00Z, or 2h ago as 2h")
	return cmd
}

func readHistory(ctx context.Context, dir, room string) (*history, error) {
	h := &history{}
	var err error
	if h.begin, h.last, err = trail.Span(ctx, dir); err != nil {
		return nil, err
	}
	h.holes, err = trail.Find(ctx, dir, trail.Search{Room: room}, func(f trail.Found) error {
		h.add(f)
		return nil
	})
	return h, err
}

// print shows the lives of a room.
func (h *history) print(w io.Writer, room string) error {
	var b strings.Builder
	row := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	if len(h.lives) == 0 {
		row("room %s is not on record, which is of %s to %s", visible(room), clock(h.begin), clock(h.last))
	}
	for _, l := range h.lives {
		row("room %s of application %d, owner %s, name %s", visible(room), l.app, visible(l.owner), visible(l.name))
		seen := ""
		if l.baseline {
			seen = "; it was live before roomwatch first looked"
		}
		row("  began     %s, first seen %s%s", clock(l.created), clock(l.seen), seen)
		switch {
		case l.ended.IsZero():
			row("  ended     no end is on record, which goes to %s", clock(h.last))
			row("  lasted    %s at least, last known to live at %s", l.sign.Sub(l.created).Round(time.Second), clock(l.sign))
		default:
			row("  ended     after %s, seen at %s", clock(l.sign), clock(l.ended))
			row("  lasted    %s to %s", l.sign.Sub(l.created).Round(time.Second), l.ended.Sub(l.created).Round(time.Second))
		}
		row("  views     %d at first, %d at most, %d at last; %s on record", l.first, l.most, l.newest, count(l.changes, "change"))
		proof(row, "begin", l.begin)
		proof(row, "end", l.end)
		row("  lines     %d to %d of the trail", l.from, l.to)
		for _, hole := range h.touching(l) {
			row("  gap       at line %d: %s", hole.Line, visible(hole.Text))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func proof(row func(string, ...any), what string, e evidence) {
	if e.By == "" {
		return
	}
	missed := ""
	if e.Missed > 0 {
		missed = fmt.Sprintf(", missed by %d sweeps", e.Missed)
	}
	row("  evidence  of the %s: %s%s, RequestId %s", what, visible(e.By), missed, visible(strings.Join(e.Requests, " ")))
}
