package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"syscall"

	"roomwatch/cmd/roomwatch/config"
	"roomwatch/cmd/roomwatch/daemon"
	"roomwatch/cmd/roomwatch/web"
	"roomwatch/publisher"
	"roomwatch/publisher/lease"
	"roomwatch/publisher/natsconn"
)

// nats looks at the server and at what roomwatch has on it, each for a time of its own:
// NATS does not answer what it does not allow. Without NATS_URL the server is part
// of the daemon, and it is fine that it is not there.
func (l *checklist) nats(ctx context.Context, cfg *config.Config, running bool) {
	connect := cfg.Connection(slog.New(slog.DiscardHandler))
	if cfg.NATSURL == "" {
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(cfg.NATSPort))
		err := listenable(ctx, addr)
		if err == nil {
			if cfg.NATSPort == 0 {
				addr = "a free port of 127.0.0.1"
			}
			l.Line("nats", nil, "none is configured: `roomwatch run` starts its own on %s", addr)
			return
		}
		if !errors.Is(err, syscall.EADDRINUSE) {
			l.Line("nats", fmt.Errorf("%w; set ROOMWATCH_NATS_PORT to a port that the embedded server may have", err), "")
			return
		}
		connect.URL = "nats://" + addr
	}
	conn, err := natsconn.Dial(ctx, connect)
	if err == nil {
		defer conn.Close()
	}
	if cfg.NATSURL == "" {
		err = stranger(conn, err, connect.URL, running)
	} else if err != nil && !errors.Is(err, natsconn.ErrAuth) {
		err = fmt.Errorf("%w; check that NATS runs there and that NATS_URL is right", err)
	}
	if err != nil {
		l.Line("nats", err, "")
		return
	}
	l.Line("nats", nil, "%s", conn.Summary())
	l.stream(ctx, cfg, conn)
	l.lease(ctx, cfg, conn)
	l.bucket(ctx, cfg, conn)
}

func (l *checklist) stream(ctx context.Context, cfg *config.Config, conn *natsconn.Conn) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	found, err := publisher.Inspect(ctx, conn, cfg.StreamConfig(), cfg.SDKAppID)
	l.Line("stream", err, "%s", found)
}

func (l *checklist) bucket(ctx context.Context, cfg *config.Config, conn *natsconn.Conn) {
	if cfg.KVBucket == "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	found, err := publisher.InspectBucket(ctx, publisher.BucketConfig{Name: cfg.KVBucket, Conn: conn, Stream: cfg.StreamConfig(), SDKAppID: cfg.SDKAppID})
	l.Line("bucket", err, "%s", found)
}

// lease looks who is the writer. Where nobody has asked for a lease, roomwatch does
// without one that it may not have.
func (l *checklist) lease(ctx context.Context, cfg *config.Config, conn *natsconn.Conn) {
	if cfg.NATSURL == "" || cfg.Lease == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, lookTimeout/2)
	defer cancel()
	found, err := lease.Inspect(ctx, conn, cfg.SDKAppID)
	if errors.Is(err, lease.ErrDenied) && !cfg.LeaseIsSet() {
		l.Warn("lease", "%v; until then no second roomwatch can stand by; or set ROOMWATCH_LEASE=0s", err)
		return
	}
	l.Line("lease", err, "%s", found)
}

// stranger returns nil if what has the port of the embedded server is that of the
// roomwatch that runs on the same data directory, and else who has it.
func stranger(conn *natsconn.Conn, err error, url string, running bool) error {
	const port = "set ROOMWATCH_NATS_PORT to a free port"
	switch {
	case errors.Is(err, natsconn.ErrAuth):
		return fmt.Errorf("the port of %s is in use by a NATS server that is not roomwatch's own; %s, or NATS_URL=%s to use that server, with what it asks for: %w", url, port, url, err)
	case err != nil:
		return fmt.Errorf("the port of %s is in use, and not by a NATS server: %w; %s", url, err, port)
	case conn.Client().ConnectedServerName() != daemon.EmbeddedName:
		return fmt.Errorf("the port of %s is in use by a NATS server that is not roomwatch's own, %q; %s, or NATS_URL=%s to use that server", url, conn.Client().ConnectedServerName(), port, url)
	case !running:
		return fmt.Errorf("the port of %s is in use by a roomwatch with another data directory; %s, or ROOMWATCH_DATA_DIR to its directory", url, port)
	}
	return nil
}

// http looks whether the daemon can have its address. If it runs, it has it.
func (l *checklist) http(ctx context.Context, cfg *config.Config, running bool) {
	if cfg.HTTPAddr == "off" {
		l.Line("http", nil, "off")
		return
	}
	err := listenable(ctx, cfg.HTTPAddr)
	if err == nil {
		l.Line("http", nil, "%s is free", cfg.HTTPAddr)
		return
	}
	const free = "set ROOMWATCH_HTTP_ADDR to a free address, or to off"
	status, serr := runningStatus(ctx, cfg)
	switch {
	case errors.Is(serr, errToken):
		l.Line("http", serr, "")
	case serr != nil || status.Application.SDKAppID != cfg.SDKAppID:
		l.Line("http", fmt.Errorf("%w; %s", err, free), "")
	case !running:
		l.Line("http", fmt.Errorf("a roomwatch of this application answers at %s, and does not use the state file %s: another `roomwatch run` would replace it; "+
			"stop it first, or set ROOMWATCH_DATA_DIR to its directory", cfg.HTTPAddr, cfg.StatePath()), "")
		l.daemon(status)
	default:
		l.Line("http", nil, "the running roomwatch answers at %s", cfg.HTTPAddr)
		l.daemon(status)
	}
}

// daemon tells what the running roomwatch says of itself.
func (l *checklist) daemon(s web.Status) {
	failing := false
	for _, c := range s.Conditions {
		if c.Level != web.Failing {
			l.Warn("daemon", "%s: %s; %s", c.About, c.Text, c.Fix)
			continue
		}
		failing = true
		l.Line("daemon", fmt.Errorf("%s: %s; %s", c.About, c.Text, c.Fix), "")
	}
	if !failing {
		l.Line("daemon", nil, "its health is %s", s.Health)
	}
}

// runningStatus returns the status of the roomwatch that answers at the address.
func runningStatus(ctx context.Context, cfg *config.Config) (s web.Status, err error) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	asker, err := newClient(cfg)
	if err != nil {
		return s, err
	}
	return s, asker.get(ctx, "/api/v1/status", nil, &s)
}

// listenable returns why nobody can listen on an address now.
func listenable(ctx context.Context, addr string) error {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	return l.Close()
}
