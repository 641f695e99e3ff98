package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"roomwatch/cmd/internal/display"
	"roomwatch/cmd/internal/program"
	"roomwatch/cmd/roomaudit/trail"
)

func roomCommand() *cobra.Command {
	var at string
	var app int
	var scan bool
	cmd := &cobra.Command{
		Use:   "room ROOM",
		Short: "Print the lives of a room; with --at, whether it was live then",
		Long: "room prints each recorded life of a room: its begin, end and duration, its view counts, the RequestIds that prove it, and the\n" +
			"gaps that affect it. With --at it answers yes, no or unknown, with the reason. The answer is unknown if messages are missing,\n" +
			"roomwatch was not running, or the record of the application does not cover that time. It does not verify the trail: use\n" +
			"`roomaudit verify`.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := read(cmd)
			if err != nil {
				return err
			}
			when, err := moment(at, time.Now(), 0)
			if err != nil {
				return program.BadFlags(fmt.Errorf("--at %w", err))
			}
			var h *history
			err = c.search(trail.Search{Room: args[0], Scan: scan}, cmd.ErrOrStderr(), func(s trail.Search) error {
				var err error
				h, err = readHistory(cmd.Context(), c.Dir, app, s)
				return err
			})
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
	f := cmd.Flags()
	f.StringVar(&at, "at", "", "was the room live at this `time`? 2026-11-23T21:40:00Z, or 2h for 2 hours ago")
	f.IntVar(&app, "app", 0, "only the application with this `SDKAppID`; 0: all recorded applications")
	f.BoolVar(&scan, "scan", false, scanUsage)
	return cmd
}

func readHistory(ctx context.Context, dir string, app int, s trail.Search) (*history, error) {
	h := &history{app: app}
	var err error
	if h.spans, err = trail.Spans(ctx, dir, s.Scan); err != nil {
		return nil, err
	}
	h.holes, err = trail.Find(ctx, dir, s, func(f trail.Found) error {
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
		row("room %s is not on record", visible(room))
		for _, app := range h.watched() {
			row("  record    of application %d, from %s to %s", app, clock(h.span(app).First), clock(h.span(app).Last))
		}
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
			row("  ended     no end is on record, which goes to %s", clock(h.span(l.app).Last))
			row("  lasted    %s at least, last known to be live at %s", l.sign.Sub(l.created).Round(time.Second), clock(l.sign))
		default:
			row("  ended     after %s, seen at %s", clock(l.sign), clock(l.ended))
			row("  lasted    %s to %s", l.sign.Sub(l.created).Round(time.Second), l.ended.Sub(l.created).Round(time.Second))
		}
		row("  views     %d at first, %d at most, %d at last; %s on record", l.first, l.most, l.newest, display.Count(l.changes, "change"))
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
		missed = ", missed by " + display.Count(e.Missed, "sweep")
	}
	row("  evidence  of the %s: %s%s, RequestId %s", what, visible(e.By), missed, visible(strings.Join(e.Requests, " ")))
}
