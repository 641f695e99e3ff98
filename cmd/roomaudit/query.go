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
	"roomwatch/cmd/roomaudit/trail"
	"roomwatch/publisher/events"
)

// A selection says which messages of the trail are wanted.
type selection struct {
	since, until string
	types        []string
	room, owner  string
	scan         bool

	from, to time.Time // of since and until; zero: no bound
}

func queryCommand() *cobra.Command {
	var s selection
	var form string
	var out reply
	cmd := &cobra.Command{
		Use:   "query",
		Short: "Print recorded events",
		Long: "query prints the recorded events, oldest first. It can run while roomaudit records. It does not verify the trail: use\n" +
			"`roomaudit verify`. With --format json, each line is the line of the trail, byte for byte. Gaps in the requested range are\n" +
			"reported on standard error; with --limit, gaps up to the last event that is printed.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := read(cmd)
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
			if out.limit < 0 {
				return program.BadFlags(fmt.Errorf("--limit is %d: set 1 or more", out.limit))
			}
			out.printer, out.gaps, out.w = p, cmd.ErrOrStderr(), cmd.OutOrStdout()
			return c.search(s.search(), cmd.ErrOrStderr(), func(s trail.Search) error {
				return out.answer(cmd.Context(), c.Dir, s)
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&s.room, "room", "", "only events of this `RoomId`")
	f.StringVar(&s.owner, "owner", "", "only events of rooms with this Owner_`Account`")
	f.StringSliceVar(&s.types, "type", nil, "only events of these `types`, such as room.created,room.ended")
	f.StringVar(&s.since, "since", "", "only events that the stream stored at or after this `time`: 2026-11-23 (in UTC), 2026-11-23T12:00:00Z, or 24h ago as 24h")
	f.StringVar(&s.until, "until", "", "only events that the stream stored before this `time`; a day (in UTC) is included")
	f.BoolVar(&s.scan, "scan", false, scanUsage)
	f.IntVar(&out.limit, "limit", 0, "print at most `N` events")
	f.BoolVar(&out.count, "count", false, "print only the number of events")
	f.BoolVar(&out.follow, "follow", false, "continue with new events, until SIGINT")
	f.StringVar(&form, "format", "table", "`FORMAT`: table, json or csv")
	return cmd
}

const scanUsage = "read every file, and neither the indexes nor ROOMAUDIT_SQLITE, which are not part of the evidence"

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
			errs = append(errs, fmt.Errorf("--type is %q: choose from %s", t, strings.Join(typeNames(), ", ")))
		}
	}
	return program.BadFlags(errors.Join(errs...))
}

func typeNames() (names []string) {
	for _, t := range events.Types() {
		names = append(names, string(t))
	}
	return names
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

func (s selection) search() trail.Search {
	search := trail.Search{From: s.from, To: s.to, Room: s.room, Owner: s.owner, Scan: s.scan}
	for _, t := range s.types {
		search.Types = append(search.Types, events.Type(t))
	}
	return search
}

// search calls ask with a search that uses the database of ROOMAUDIT_SQLITE, if there is one.
func (c *config) search(s trail.Search, w io.Writer, ask func(trail.Search) error) error {
	db, err := openCopy(c.SQLite)
	if err != nil {
		return err
	}
	if db != nil {
		s.Copy = db
	}
	return errors.Join(ask(s), db.close(w))
}

// A reply is how the answer to a query is shown.
type reply struct {
	printer
	w, gaps       io.Writer
	limit         int // 0: none
	count, follow bool

	n int
}

func (o *reply) answer(ctx context.Context, dir string, s trail.Search) (err error) {
	if o.follow {
		err = trail.Tail(ctx, dir, s, func(f trail.Found) error { return errors.Join(o.take(f), o.shown()) }, o.gap)
	} else {
		var holes []trail.Hole
		holes, err = trail.Find(ctx, dir, s, o.take)
		for _, h := range holes {
			err = errors.Join(err, o.gap(h))
		}
	}
	if err == nil && o.count {
		_, err = fmt.Fprintln(o.w, o.n)
		return err
	}
	if err != nil {
		return err
	}
	return o.flush()
}

// shown makes sure that an event is seen at once.
func (o *reply) shown() error {
	if o.count {
		return nil
	}
	return o.flush()
}

func (o *reply) take(f trail.Found) error {
	o.n++
	if !o.count {
		if err := o.print(f.Line, f.Text, f.Event); err != nil {
			return err
		}
	}
	if o.n == o.limit {
		return trail.ErrEnough
	}
	return nil
}

// gap tells where others may be missing.
func (o *reply) gap(h trail.Hole) error {
	when := func(t time.Time) string {
		if t.IsZero() {
			return "?"
		}
		return t.UTC().Format(time.RFC3339)
	}
	_, err := fmt.Fprintf(o.gaps, "gap at line %d, between %s and %s: %s\n", h.Line, when(h.After), when(h.Before), visible(h.Text))
	return err
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
