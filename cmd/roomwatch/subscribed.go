package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/nats-io/nats.go"

	"roomwatch/cmd/roomwatch/config"
	"roomwatch/publisher/natsconn"
)

// subscribed connects as a subscriber does, calls f and disconnects. Errors of a request
// that NATS does not allow begin with the verb. NATS_URL empty means the embedded
// server of a roomwatch on this machine.
func subscribed(ctx context.Context, cfg *config.Config, verb string, log *slog.Logger, f func(context.Context, *natsconn.Conn) error) error {
	if cfg.NATSURL == "" {
		cfg.NATSURL = fmt.Sprintf("nats://127.0.0.1:%d", cfg.NATSPort)
	}
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	connect := cfg.Connection(log)
	connect.Inbox = "" // the one that all clients have
	// NATS leaves a request unanswered that it does not allow; waiting on would
	// look like a stream in which nothing happens.
	connect.Denied = func(err error) { giveUp(fmt.Errorf("%s stream %s: %w", verb, cfg.Stream, err)) }
	conn, err := natsconn.Dial(ctx, connect)
	if err != nil {
		return fmt.Errorf("%w; is roomwatch running, and is NATS_URL right?", err)
	}
	defer conn.Close()
	err = f(ctx, conn)
	if cause := context.Cause(ctx); errors.Is(cause, nats.ErrPermissionViolation) {
		return cause
	}
	return err
}
