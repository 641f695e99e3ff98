package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"roomwatch/cmd/internal/environ"
	"roomwatch/cmd/internal/program"
	"roomwatch/cmd/roomwatch/config"
	"roomwatch/diff"
	"roomwatch/publisher"
	"roomwatch/publisher/natsconn"
)

// lookTimeout bounds each question that `tail` and `check` ask of NATS.
const lookTimeout = 5 * time.Second

// tailPatience is how long `tail` tries to continue with a JetStream that gives no
// answer while NATS is there.
const tailPatience = 30 * time.Second

// A selection says which events to show.
type selection struct {
	types []string // empty: all
	room  string   // empty: all
	since past
}

// A past is a time back from now, as a flag; 0 is none.
type past time.Duration

// Set implements [pflag.Value].
func (p *past) Set(text string) error {
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return errors.New("write it as 10m or 2h")
	}
	*p = past(d)
	return nil
}

// Type implements [pflag.Value].
func (*past) Type() string { return "time" }

// String implements [pflag.Value].
func (p *past) String() string {
	if *p == 0 {
		return ""
	}
	return time.Duration(*p).String()
}

func tailCommand() *cobra.Command {
	var s selection
	var raw bool
	cmd := &cobra.Command{
		Use:   "tail",
		Short: "Print events as they come, one line each",
		Example: "  roomwatch tail\n" +
			"  roomwatch tail --type room.created --since 1h\n" +
			"  roomwatch tail --room room_id0 --json",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := s.check(cmd.Flags().Changed("room")); err != nil {
				return err
			}
			cfg, err := config.Read((*config.Config).ValidateNATS)
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			p := newEventPrinter(out, isTerminal(out))
			return tail(cmd.Context(), &cfg, s, func(body []byte, e diff.Event) error {
				if raw {
					_, err := fmt.Fprintf(out, "%s\n", body)
					return err
				}
				if isWatch(e.Type) {
					return p.printWatch(e.Type, body)
				}
				return p.print(e)
			}, cmd.ErrOrStderr())
		},
	}
	f := cmd.Flags()
	f.StringSliceVar(&s.types, "type", nil, "only events of this `type`, such as room.created; watch.resumed and watch.alive are shown only if they are asked for; can be repeated")
	f.StringVar(&s.room, "room", "", "only events of this `RoomId`")
	f.Var(&s.since, "since", "begin with the events of the last `time`, such as 1h; default: only new events")
	f.BoolVar(&raw, "json", false, "print each event as JSON, as it is in the stream")
	return cmd
}

// tail connects and shows events until ctx is done.
func tail(ctx context.Context, cfg *config.Config, s selection, show func([]byte, diff.Event) error, stderr io.Writer) error {
	log := cfg.Logger(stderr)
	return subscribed(ctx, cfg, "follow", log, func(ctx context.Context, conn *natsconn.Conn) error {
		return follow(ctx, conn, cfg, s, log, tailPatience, show)
	})
}

// check returns every problem of a selection; oneRoom: a room was asked for.
func (s selection) check(oneRoom bool) error {
	var p environ.Problems
	for _, t := range s.types {
		p.Add(config.IsEventType(t) || isWatch(diff.Type(t)), "--type is %q: choose from %s, %s, %s", t, config.EventTypes(), watchAlive, watchResumed)
		p.Add(!oneRoom || !isWatch(diff.Type(t)), "--room with --type %s: it is of no room", t)
	}
	p.Add(!oneRoom || s.room != "", "--room is empty: write a RoomId")
	return program.BadFlags(p.Err())
}

func (s selection) filters(cfg *config.Config) []string {
	if len(s.types) == 0 {
		return []string{publisher.Filter(cfg.SubjectPrefix, "", cfg.SDKAppID, s.room)}
	}
	var filters []string
	for _, t := range s.types {
		if isWatch(diff.Type(t)) {
			filters = append(filters, watchFilter(cfg, diff.Type(t)))
			continue
		}
		filters = append(filters, publisher.Filter(cfg.SubjectPrefix, diff.Type(t), cfg.SDKAppID, s.room))
	}
	return filters
}

// isTerminal reports whether w shows colours to a person.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && os.Getenv("NO_COLOR") == "" && term.IsTerminal(int(f.Fd()))
}
