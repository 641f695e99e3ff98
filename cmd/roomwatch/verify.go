package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"roomwatch/cmd/internal/display"
	"roomwatch/cmd/internal/program"
	"roomwatch/cmd/roomwatch/config"
	"roomwatch/diff"
	"roomwatch/publisher/events"
	"roomwatch/publisher/natsconn"
	"roomwatch/publisher/reader"
	"roomwatch/publisher/streams"
)

const (
	verifyWait   = 30 * time.Second // how long `verify` waits for one more message of the stream
	verifyResets = 5                // how often it asks for its consumer anew when NATS was away: for some 15 s at least
)

func verifyCommand() *cobra.Command {
	var raw bool
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Verify the stream; exit status 1 if it has inconsistencies",
		Long: "verify reads the stream from its first message to the one that is the last at the start, and prints all\n" +
			"inconsistencies, one line each: missing and duplicate numbers, broken chains of versions and view counts, ends without\n" +
			"a beginning, rooms announced twice, times that go backwards, ids and subjects that do not belong to the event, gaps\n" +
			"in the watch that are reported twice or overlap.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.Read((*config.Config).ValidateNATS)
			if err != nil {
				return err
			}
			show := printFinding(cmd.OutOrStdout())
			if raw {
				show = encodeFinding(cmd.OutOrStdout())
			}
			return verify(cmd.Context(), &cfg, show, cmd.ErrOrStderr())
		},
	}
	cmd.Flags().BoolVar(&raw, "json", false, "print each fault and the summary as JSON, one object per line")
	return cmd
}

// A finding is a fault, or at last the summary.
type finding struct {
	Fault   *events.Fault   `json:"fault,omitempty"`
	Summary *events.Summary `json:"summary,omitempty"`
}

func encodeFinding(w io.Writer) func(finding) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return func(v finding) error { return e.Encode(v) }
}

func printFinding(w io.Writer) func(finding) error {
	return func(v finding) error {
		if v.Fault != nil {
			_, err := fmt.Fprintln(w, v.Fault)
			return err
		}
		s := v.Summary
		begins := "from their beginning"
		if s.Middle {
			begins = "from the middle of an epoch: older events are no longer there"
		}
		result := "no inconsistencies"
		if s.Faults > 0 {
			result = display.Count(s.Faults, "fault")
		}
		_, err := fmt.Fprintf(w, "%s of %s, %d of them live, %s, %s, %s, %s, %s; %s: %s\n", display.Count(s.Events, "event"), display.Count(s.Rooms, "room"),
			s.Live, display.Count(s.Applications, "application"), display.Count(s.Epochs, "epoch"), display.Count(s.Claims, "claim"), display.Count(s.Pulses, "pulse"), display.Count(s.Gaps, "gap"), begins, result)
		return err
	}
}

// verify connects, checks the stream and shows what it finds.
func verify(ctx context.Context, cfg *config.Config, show func(finding) error, stderr io.Writer) error {
	v := events.NewVerifier(cfg.SubjectPrefix)
	v.SilentBeginnings = cfg.Baseline == "silent" || !slices.Contains(cfg.Events, string(diff.RoomCreated))
	v.SilentEnds = !slices.Contains(cfg.Events, string(diff.RoomEnded))
	err := subscribed(ctx, cfg, "verify", cfg.Logger(stderr), func(ctx context.Context, conn *natsconn.Conn) error {
		return eachMessage(ctx, conn, cfg, func(m events.Message) error {
			for _, f := range v.Check(m) {
				if err := show(finding{Fault: &f}); err != nil {
					return fmt.Errorf("print fault: %w", err)
				}
			}
			return nil
		})
	})
	if err != nil {
		return err
	}
	s := v.Summary()
	if err := show(finding{Summary: &s}); err != nil {
		return fmt.Errorf("print summary: %w", err)
	}
	if s.Faults > 0 {
		return program.ErrReported
	}
	return nil
}

// eachMessage reads what the stream holds when it is called.
func eachMessage(ctx context.Context, conn *natsconn.Conn, cfg *config.Config, take func(events.Message) error) error {
	failed := func(err error) error {
		return fmt.Errorf("read stream %s: %w", cfg.Stream, streams.Reader(cfg.Stream, 0).Explain(err))
	}
	js, err := conn.JetStream()
	if err != nil {
		return err
	}
	look, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	s, err := js.Stream(look, cfg.Stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return fmt.Errorf("read stream %s: there is no such stream; start roomwatch, which makes it, or set ROOMWATCH_STREAM", cfg.Stream)
	}
	if err != nil {
		return failed(err)
	}
	end := s.CachedInfo().State.LastSeq
	reading, err := reader.Open(ctx, js, reader.Config{
		Stream: cfg.Stream, Consumer: jetstream.OrderedConsumerConfig{FilterSubjects: []string{cfg.SubjectPrefix + ".>"}}, Resets: verifyResets,
	})
	if err != nil {
		return failed(err)
	}
	defer reading.Close()
	if reading.Info.NumPending == 0 {
		return nil
	}
	for {
		msg, meta, err := reading.Next(ctx, verifyWait)
		if ctx.Err() != nil {
			return failed(ctx.Err())
		}
		if err != nil {
			return failed(fmt.Errorf("%w; see with `nats stream info %s` that NATS is up and the stream has a leader, and run `roomwatch verify` again", err, cfg.Stream))
		}
		if meta.Sequence.Stream > end {
			return nil
		}
		if err := take(events.Message{Sequence: meta.Sequence.Stream, Subject: msg.Subject(), ID: msg.Headers().Get(nats.MsgIdHdr), Body: msg.Data()}); err != nil {
			return err
		}
		if meta.NumPending == 0 || meta.Sequence.Stream == end {
			return nil
		}
	}
}
