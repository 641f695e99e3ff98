package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"roomwatch/cmd/internal/display"
	"roomwatch/cmd/internal/program"
	"roomwatch/cmd/roomwatch/web"
	"roomwatch/diff"
)

func statusCommand() *cobra.Command {
	var raw bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the status of the running daemon",
		Long: "status asks the daemon at ROOMWATCH_HTTP_ADDR, with the token if one is set. Exit status 1 if no daemon answers\n" +
			"or if it is not ready, so it can be used as a health check.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := readClient()
			if err != nil {
				return err
			}
			return showStatus(cmd.Context(), c, raw, cmd.OutOrStdout())
		},
	}
	cmd.Flags().BoolVar(&raw, "json", false, "print the JSON of the API")
	return cmd
}

func showStatus(ctx context.Context, c *client, raw bool, w io.Writer) error {
	var body json.RawMessage
	if err := c.get(ctx, "/api/v1/status", nil, &body); err != nil {
		return err
	}
	var s web.Status
	err := json.Unmarshal(body, &s)
	if err == nil && s.Health == "" {
		err = errors.New("it has no health")
	}
	if err != nil {
		return fmt.Errorf("what answers at %s gives no status: %w; set ROOMWATCH_HTTP_ADDR to where roomwatch answers", c.base, err)
	}
	if raw {
		_, err = fmt.Fprintf(w, "%s\n", body)
	} else {
		_, err = io.WriteString(w, statusText(s))
	}
	if err != nil {
		return fmt.Errorf("print status: %w", err)
	}
	if s.Health == web.Failing {
		return program.ErrReported
	}
	return nil
}

// statusText is a status for people, a line for each thing.
func statusText(s web.Status) string {
	var b strings.Builder
	line := func(what, format string, args ...any) {
		fmt.Fprintf(&b, "%-13s %s\n", what, plain(fmt.Sprintf(format, args...)))
	}
	ago := func(t web.Time) string { return age(s.Now.Sub(t.Time)) + " ago" }
	line("health", "%s", s.Health)
	for _, c := range s.Conditions {
		line("  "+c.Level, "%s: %s", c.About, c.Text)
		if c.Fix != "" {
			line("", "%s", c.Fix)
		}
	}
	line("version", "%s, started %s", s.Version, ago(s.Started))
	line("role", "%s", web.RoleText(s, func(t web.Time) string { return "for " + age(s.Now.Sub(t.Time)) }))
	line("application", "%d at %s", s.Application.SDKAppID, s.Application.Endpoint)
	line("rooms", "%s live, %s of them missing in the newest sweeps, %s hidden", humanize.Comma(int64(s.Rooms.Known)), humanize.Comma(int64(s.Rooms.Missing)), humanize.Comma(int64(s.Rooms.Hidden)))
	line("news", "%s", newsText(s.News))
	if p := s.Sweep; p != nil {
		line("sweep", "no. %d in progress for %s: %s, %s, %s, %s", p.Number, age(s.Now.Sub(p.Began.Time)),
			display.Count(p.Pages, "page"), display.Count(p.Rooms, "room"), display.Count(p.Requests, "request"), display.Count(p.Retries, "retry", "retries"))
	}
	if p := s.LastComplete; p != nil {
		line("last complete", "%s, in %s: %s, %s, %s, %s", ago(p.Ended), time.Duration(p.Duration*float64(time.Second)).Round(time.Millisecond),
			display.Count(p.Pages, "page"), display.Count(p.Rooms, "room"), display.Count(p.Requests, "request"), display.Count(p.Retries, "retry", "retries"))
	}
	sightText(s, line)
	if f := s.LastFailure; f != nil {
		line("last failure", "%s: %s", ago(f.At), f.Text)
	}
	line("outbox", "%s, assigned up to %d, stored up to %d, epoch %s", waiting(s), s.Outbox.Assigned, s.Outbox.Stored, s.Outbox.Epoch)
	nats := "not connected"
	if s.NATS.Connected {
		nats = "connected to " + s.NATS.Server
	}
	line("nats", "%s, stream %s, subjects %s.>, %s", nats, s.NATS.Stream, s.NATS.Prefix, pulseText(s))
	if k := s.NATS.Bucket; k != nil {
		state := "follows the stream"
		if k.LastError != nil {
			state = "does not follow the stream since " + age(s.Now.Sub(k.LastError.Since.Time))
		}
		line("bucket", "%s %s", k.Name, state)
	}
	if c := s.Callbacks; c != nil {
		newest := "none yet"
		if !c.Last.IsZero() {
			newest = "the newest " + ago(c.Last)
		}
		line("callbacks", "%s taken, %s; %s refused", humanize.Comma(int64(c.Taken)), newest, humanize.Comma(int64(c.Refused)))
	}
	var events []string
	for _, t := range diff.Types() {
		events = append(events, fmt.Sprintf("%s %s", humanize.Comma(s.Events[string(t)]), t))
	}
	line("events", "%s since the start", strings.Join(events, ", "))
	return b.String()
}

// sightText says how much of the list is seen: by sweeps, and by probes beside them.
func sightText(s web.Status, line func(what, format string, args ...any)) {
	if r := s.Absence.Recall; r != nil {
		line("recall", "a sweep shows %s of the live rooms, as measured over the last hundred or so", percent(*r))
	}
	if p := s.Probes; p != nil {
		line("probes", "%s of the list known; in the last hour %s made, which found %s that nobody knew", display.Count(p.Places, "place"), display.Count(p.Made, "probe"), display.Count(p.Found, "room"))
	}
}

// pulseText says when the stream was told last that somebody watches.
func pulseText(s web.Status) string {
	if s.NATS.Pulse.IsZero() {
		return "no pulse yet"
	}
	return "pulse " + age(s.Now.Sub(s.NATS.Pulse.Time)) + " ago"
}

// percent writes a share, and all of it only where nothing lacks.
func percent(share float64) string {
	return strconv.FormatFloat(math.Floor(share*10_000+1e-6)/100, 'f', -1, 64) + "%"
}

// newsText says how fresh news is.
func newsText(n web.News) string {
	about := func(a web.NewsAge, what, since string) string {
		seconds := func(s float64) string {
			return time.Duration(s * float64(time.Second)).Round(100 * time.Millisecond).String()
		}
		if a.Events == 0 {
			return "no room " + what
		}
		return fmt.Sprintf("%s %s, seen %s after %s in the median, 95%% within %s", display.Count(a.Events, "room"), what, seconds(a.Median), since, seconds(a.P95))
	}
	return "in the last hour " + about(n.Created, "created", "their CreateTime") + "; " + about(n.Ended, "ended", "they were last seen")
}

func waiting(s web.Status) string {
	if s.Outbox.Depth == 0 {
		return "no events wait"
	}
	return fmt.Sprintf("%s since %s", display.Count(s.Outbox.Depth, "event"), age(s.Now.Sub(s.Outbox.Oldest.Time)))
}
