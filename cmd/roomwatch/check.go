package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"

	"roomwatch/cmd/internal/display"
	"roomwatch/cmd/internal/program"
	"roomwatch/cmd/roomwatch/config"
	"roomwatch/cmd/roomwatch/daemon"
	"roomwatch/poller"
	"roomwatch/state"
)

func checkCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check",
		Short: "Check configuration, service, NATS, stream, state and HTTP address",
		Long: "check tries all that `roomwatch run` needs, with one request to the service. It is read-only and can run beside\n" +
			"the daemon. Exit status 1 if a check fails, or if the running daemon is not ready.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return check(cmd.Context(), cmd.OutOrStdout())
		},
	}
}

// vendorRate is how many requests of the list the vendor allows in a second.
const vendorRate = 10

// A checklist has a line for each place that roomwatch needs.
type checklist struct{ program.Checklist }

func check(ctx context.Context, w io.Writer) error {
	l := checklist{program.Checklist{W: w, Width: 14}}
	if names := config.Unknown(); names != "" {
		l.Warn("configuration", "unknown variables, perhaps misspelt: %s", names)
	}
	cfg, err := config.Load()
	if err = errors.Join(err, cfg.Validate()); err != nil {
		l.Line("configuration", err, "")
		return program.ErrReported
	}
	l.Line("configuration", nil, "SDKAppID %d, endpoint %s", cfg.SDKAppID, cfg.Endpoint)
	if cfg.RequestsPerSecond > vendorRate { // which [config.Config.Validate] allows elsewhere
		l.Warn("configuration", "ROOMWATCH_REQUESTS_PER_SECOND is %v: the vendor allows %d for all callers of the application; use more only for a service of your own", cfg.RequestsPerSecond, vendorRate)
	}
	found, exists, err := state.Inspect(cfg.StatePath(), cfg.SDKAppID)
	running := errors.Is(err, state.ErrLocked) // a roomwatch, on this directory
	l.service(ctx, &cfg)
	l.nats(ctx, &cfg, running)
	switch path, full := cfg.StatePath(), diskFull(cfg.DataDir); {
	case full != nil:
		l.Line("state", full, "")
	case running:
		l.Line("state", nil, "%s is in use by a running roomwatch", path)
	case err == nil && !exists:
		l.Line("state", nil, "%s %s", path, noState(path))
	default:
		l.Line("state", err, "%s: %s, %s waiting for the stream", path, display.Count(found.Rooms, "room"), display.Count(found.Waiting, "event"))
	}
	l.http(ctx, &cfg, running)
	return l.Err()
}

// diskFull returns why a data directory that exists cannot be written to.
func diskFull(dir string) error {
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return nil // the start makes it, or [state.Inspect] says what is wrong
	}
	if err := daemon.TryDisk(dir); err != nil {
		return fmt.Errorf("%w; check that the disk of ROOMWATCH_DATA_DIR, %s, has room and that roomwatch may write to it", err, dir)
	}
	return nil
}

// noState says why a state file that can be used holds no state.
func noState(path string) string {
	if _, err := os.Stat(path); err != nil {
		return "does not exist yet: the next start makes it, and rebuilds the state from the stream if that has events"
	}
	return "exists and is empty, as after a crash during its creation or a failed copy: " +
		"the next start makes a new state, and rebuilds it from the stream if that has events"
}

func (l *checklist) service(ctx context.Context, cfg *config.Config) {
	p, err := daemon.NewPoller(cfg, slog.New(slog.DiscardHandler), nil, nil)
	if err != nil {
		l.Line("service", err, "")
		return
	}
	got, err := p.Glance(ctx)
	if errors.Is(err, poller.ErrThrottled) { // as beside a daemon at its full rate
		l.Warn("service", "%v; a running roomwatch and other callers of the SDKAppID share the limit: check again in a moment", err)
		return
	}
	if hint := poller.Hint(err); hint != "" {
		err = fmt.Errorf("%w; %s", err, hint)
	}
	l.Line("service", err, "%s on the first page, answered in %s", display.Count(got.Rooms, "room"), got.Latency.Round(time.Millisecond))
}
