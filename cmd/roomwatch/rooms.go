package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/mattn/go-runewidth"
	"github.com/spf13/cobra"

	"roomwatch/cmd/internal/display"
	"roomwatch/cmd/internal/environ"
	"roomwatch/cmd/internal/program"
	"roomwatch/cmd/roomwatch/web"
)

const (
	pageOfRooms = 200 // the most that the API gives at once
	widestOwner = 24  // cells of a terminal
	widestName  = 60
)

// A roomsQuery is what `rooms` was asked for.
type roomsQuery struct {
	sort, category, owner, text string
	limit                       int
	all, json                   bool
}

func roomsCommand() *cobra.Command {
	var q roomsQuery
	cmd := &cobra.Command{
		Use:   "rooms",
		Short: "List the rooms that are live now, from the running daemon",
		Long: "rooms asks the daemon at ROOMWATCH_HTTP_ADDR, with the token if one is set. A room that the newest complete\n" +
			"sweeps did not show is marked: it is not known yet whether it has ended.",
		Example: "  roomwatch rooms\n" +
			"  roomwatch rooms --sort created --limit 10\n" +
			"  roomwatch rooms --owner bren --all --json",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := q.check(cmd.Flags().Changed("category")); err != nil {
				return err
			}
			c, err := readClient()
			if err != nil {
				return err
			}
			return rooms(cmd.Context(), c, q, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f := cmd.Flags()
	f.StringVar(&q.sort, "sort", "views", "the `order`: views, created, name or id; with - in front in reverse")
	f.StringVar(&q.category, "category", "", "only rooms of this `category`, a number")
	f.StringVar(&q.owner, "owner", "", "only rooms of this `account`")
	f.StringVar(&q.text, "q", "", "only rooms with this `text` in RoomId, RoomName or owner")
	f.IntVar(&q.limit, "limit", 50, "at most this `number` of rooms")
	f.BoolVar(&q.all, "all", false, "all rooms")
	f.BoolVar(&q.json, "json", false, "print the JSON of the API, one room per line")
	return cmd
}

// check returns every problem of a query; oneCategory: a category was asked for.
func (q roomsQuery) check(oneCategory bool) error {
	var p environ.Problems
	p.Add(slices.Contains([]string{"views", "created", "name", "id"}, strings.TrimPrefix(q.sort, "-")),
		"--sort is %q: choose from views, created, name and id, with - in front for the other way round", q.sort)
	_, err := strconv.ParseInt(q.category, 10, 64)
	p.Add(!oneCategory || err == nil, "--category is %q: write a whole number", q.category)
	p.Add(q.limit >= 1, "--limit is %d: set at least 1, or --all", q.limit)
	return program.BadFlags(p.Err())
}

// rooms prints the list page by page: it can be longer than the memory.
func rooms(ctx context.Context, c *client, q roomsQuery, w, stderr io.Writer) error {
	query := url.Values{"sort": {q.sort}}
	for name, value := range map[string]string{"category": q.category, "owner": q.owner, "q": q.text} {
		if value != "" {
			query.Set(name, value)
		}
	}
	t := roomTable{w: w, now: time.Now()}
	for left := q.limit; q.all || left > 0; {
		query.Set("limit", strconv.Itoa(pageOfRooms))
		if !q.all {
			query.Set("limit", strconv.Itoa(min(left, pageOfRooms)))
		}
		var list struct {
			Rooms []json.RawMessage `json:"rooms"`
			Next  string            `json:"next"`
		}
		if err := c.get(ctx, "/api/v1/rooms", query, &list); err != nil {
			return err
		}
		if list.Rooms == nil {
			return fmt.Errorf("what answers at %s gives no rooms; set ROOMWATCH_HTTP_ADDR to where roomwatch answers", c.base)
		}
		if err := t.print(list.Rooms, q.json); err != nil {
			return err
		}
		left -= len(list.Rooms)
		if list.Next == "" {
			return nil
		}
		query.Set("cursor", list.Next)
	}
	_, err := fmt.Fprintf(stderr, "There are more: --all shows them.\n")
	return err
}

// A roomTable prints rooms under a heading. The first page decides how wide the
// columns are.
type roomTable struct {
	w           io.Writer
	now         time.Time
	room, owner int // cells; 0 before the first page
}

func (t *roomTable) print(page []json.RawMessage, raw bool) error {
	var rooms []web.Room
	for _, b := range page {
		if raw {
			if _, err := fmt.Fprintf(t.w, "%s\n", b); err != nil {
				return fmt.Errorf("print rooms: %w", err)
			}
			continue
		}
		var r web.Room
		if err := json.Unmarshal(b, &r); err != nil {
			return fmt.Errorf("read room: %w", err)
		}
		rooms = append(rooms, r)
	}
	if raw {
		return nil
	}
	if t.room == 0 {
		t.room, t.owner = len("ROOM"), len("OWNER")
		for _, r := range rooms {
			t.room = max(t.room, runewidth.StringWidth(plain(r.RoomID)))
			t.owner = min(widestOwner, max(t.owner, runewidth.StringWidth(plain(r.OwnerAccount))))
		}
		if err := t.row("VIEWS", "LIVE FOR", "ROOM", "OWNER", "NAME", ""); err != nil {
			return err
		}
	}
	for _, r := range rooms {
		note := ""
		if r.Hidden {
			note = "  (hidden)"
		}
		if r.Missing != nil {
			note = fmt.Sprintf("  (not seen by %s)", display.Count(r.Missing.Sweeps, "sweep"))
		}
		if err := t.row(humanize.Comma(r.ViewCount), age(t.now.Sub(time.Unix(r.CreateTime, 0))), plain(r.RoomID),
			plain(r.OwnerAccount), plain(r.RoomName), note); err != nil {
			return err
		}
	}
	return nil
}

func (t *roomTable) row(views, live, room, owner, name, note string) error {
	_, err := fmt.Fprintf(t.w, "%12s  %8s  %s  %s  %s%s\n", views, live, runewidth.FillRight(room, t.room),
		runewidth.FillRight(runewidth.Truncate(owner, t.owner, "…"), t.owner), runewidth.Truncate(name, widestName, "…"), note)
	if err != nil {
		return fmt.Errorf("print rooms: %w", err)
	}
	return nil
}

// age writes a time with the two units that matter.
func age(d time.Duration) string {
	const day = 24 * time.Hour
	switch d = max(d, 0); {
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", d/time.Minute, d%time.Minute/time.Second)
	case d < day:
		return fmt.Sprintf("%dh%02dm", d/time.Hour, d%time.Hour/time.Minute)
	}
	return fmt.Sprintf("%dd%02dh", d/day, d%day/time.Hour)
}
