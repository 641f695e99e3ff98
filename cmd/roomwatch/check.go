package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"roomwatch/cmd/internal/program"
	"roomwatch/publisher"
	"roomwatch/state"
)

func checkCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check",
		Short: "Try configuration, API, NATS, stream and state; a line for each",
		Long: "check tries what `roomwatch run` would need, with one request to the service. It makes nothing, claims\n" +
			"nothing, and may run beside the daemon. Exit status 1 if anything is wrong.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return check(cmd.Context(), cmd.OutOrStdout())
		},
	}
}

// A checklist prints one line for each thing that was tried.
type checklist struct {
	w      io.Writer
	failed bool
}

func (l *checklist) line(what string, err error, format string, args ...any) {
	verdict, text := "ok", fmt.Sprintf(format, args...)
	if err != nil {
		verdict, text, l.failed = "FAILED", err.Error(), true
	}
	_, _ = fmt.Fprintf(l.w, "%-14s %-7s %s\n", what, verdict, text)
}

func check(ctx context.Context, w io.Writer) error {
	l := checklist{w: w}
	cfg, err := loadConfig()
	if err = errors.Join(err, cfg.validate()); err != nil {
		l.line("configuration", err, "")
		return program.ErrReported
	}
	l.line("configuration", nil, "SDKAppID %d, endpoint %s", cfg.SDKAppID, cfg.Endpoint)
	l.service(ctx, &cfg)
	l.nats(ctx, &cfg)
	l.state(&cfg)
	if l.failed {
		return program.ErrReported
	}
	return nil
}

func (l *checklist) service(ctx context.Context, cfg *config) {
	p, err := newPoller(cfg, slog.New(slog.DiscardHandler), nil, nil)
	if err != nil {
		l.line("service", err, "")
		return
	}
	got, err := p.Probe(ctx)
	l.line("service", err, "%d rooms on the first page, answered in %s", got.Rooms, got.Latency.Round(time.Millisecond))
}

// nats looks at the server and the stream. Without NATS_URL the server is part
// of the daemon, and it is fine that it is not there.
func (l *checklist) nats(ctx context.Context, cfg *config) {
	connect := cfg.connectConfig(slog.New(slog.DiscardHandler))
	if cfg.NATSURL == "" {
		connect.URL = "nats://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(cfg.NATSPort))
	}
	nc, err := publisher.Dial(ctx, connect)
	if err != nil {
		if cfg.NATSURL == "" {
			l.line("nats", nil, "none is configured: `roomwatch run` starts its own on 127.0.0.1:%d", cfg.NATSPort)
			return
		}
		l.line("nats", err, "")
		return
	}
	defer nc.Close()
	l.line("nats", nil, "connected to %s, nats-server %s", publisher.Server(nc), nc.ConnectedServerVersion())
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	found, err := publisher.Inspect(ctx, nc, cfg.streamConfig(), cfg.SDKAppID)
	l.line("stream", err, "%s", found)
}

func (l *checklist) state(cfg *config) {
	path := filepath.Join(cfg.DataDir, "state.db")
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		l.line("state", nil, "%s does not exist yet: the first start makes it", path)
		return
	}
	s, err := state.Open(state.Config{Path: path, SDKAppID: cfg.SDKAppID})
	if errors.Is(err, state.ErrLocked) {
		l.line("state", nil, "%s is in use by a running roomwatch", path)
		return
	}
	if err != nil {
		l.line("state", err, "")
		return
	}
	err = errors.Join(s.Check(), s.Close())
	st := s.Status()
	l.line("state", err, "%s: %d rooms, %d events waiting for the stream", path, st.Rooms, st.Waiting)
}
