package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"roomwatch/cmd/internal/program"
	"roomwatch/cmd/roomaudit/trail"
	"roomwatch/publisher/events"
)

// A selection says which messages of the trail are wanted.
type selection struct {
	since, until string
	types        []string
	room, owner  string

	from, to time.Time // of since and until; zero: no bound
}

func queryCommand() *cobra.Command {
	var s selection
	var form string
	cmd := &cobra.Command{
		Use:   "query",
		Short: "Print what is on record",
		Long: "query prints the recorded events, oldest first. It may run while roomaudit records. It does not check the trail: `roomaudit\n" +
			"verify` does. As json, each line is that of the trail, byte for byte.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := configured()
			if err != nil {
				return err
			}
			p, err := newPrinter(form, cmd.OutOrStdout())
			if err != nil {
				return err
			}
			if err := s.parse(time.Now()); err != nil {
				return err
			}
			if err := s.each(cmd.Context(), c.Dir, p.print); err != nil {
				return err
			}
			return p.flush()
		},
	}
	f := cmd.Flags()
	f.StringVar(&s.room, "room", "", "only of this `RoomId`")
	f.StringVar(&s.owner, "owner", "", "only of rooms of this Owner_`Account`")
	f.StringSliceVar(&s.types, "type", nil, "only of these `types`, such as room.created,room.ended")
	f.StringVar(&s.since, "since", "", "only what the stream stored since this `time`: 2026-11-23 (in UTC), 2026-11-23T12:00:00Z, or 24h ago as 24h")
	f.StringVar(&s.until, "until", "", "only what the stream stored before this `time`; a day (in UTC) counts whole")
	f.StringVar(&form, "format", "table", "`table`, json or csv")
	return cmd
}

// parse reads the bounds; a day without a time begins, or as the end ends, in UTC.
func (s *selection) parse(now time.Time) error {
	var errs []error
	var err error
	if s.from, err = moment(s.since, now, 0); err != nil {
		errs = append(errs, fmt.Errorf("--since %w", err))
	}
	if s.to, err = moment(s.until, now, 24*time.Hour); err != nil {
		errs = append(errs, fmt.Errorf("--until %w", err))
	}
	for _, t := range s.types {
		if !slices.Contains(events.Types(), events.Type(t)) {
			errs = append(errs, fmt.Errorf("--type is %q: choose from %v", t, events.Types()))
		}
	}
	return program.BadFlags(errors.Join(errs...))
}

func moment(text string, now time.Time, day time.Duration) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(text); err == nil {
		return now.Add(-d), nil
	}
	if t, err := time.Parse(time.DateOnly, text); err == nil {
		return t.Add(day), nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, fmt.Errorf("is %q: write 2026-11-23, 2026-11-23T12:00:00Z or 24h", text)
	}
	return t, nil
}

// each calls take with the selected messages. What was stored when, only the
// messages say: the day of a file is that of the recorder's clock.
func (s selection) each(ctx context.Context, dir string, take func(l trail.Line, text []byte, e events.Event) error) error {
	return trail.Read(ctx, dir, 0, func(l trail.Line, text []byte) error {
		if l.Kind != trail.Event || !s.from.IsZero() && l.Stored.Before(s.from) || !s.to.IsZero() && !l.Stored.Before(s.to) {
			return nil
		}
		var e events.Event
		if err := json.Unmarshal(l.Event, &e); err != nil {
			return fmt.Errorf("line %d: %w", l.Line, err)
		}
		room := e.Data.Room
		if s.room != "" && room.RoomID != s.room || s.owner != "" && room.OwnerAccount != s.owner ||
			len(s.types) > 0 && !slices.Contains(s.types, string(e.Type)) {
			return nil
		}
		return take(l, text, e)
	})
}

// A printer shows messages in one form.
type printer struct {
	print func(l trail.Line, text []byte, e events.Event) error
	flush func() error
}

func newPrinter(form string, w io.Writer) (printer, error) {
	switch form {
	case "table":
		return tablePrinter(w), nil
	case "csv":
		return csvPrinter(w), nil
	case "json":
		return printer{
			print: func(_ trail.Line, text []byte, _ events.Event) error {
				_, err := fmt.Fprintf(w, "%s\n", text)
				return err
			},
			flush: func() error { return nil },
		}, nil
	}
	return printer{}, program.BadFlags(fmt.Errorf("--format is %q: choose from %s", form, strings.Join([]string{"table", "json", "csv"}, ", ")))
}
