package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/oklog/ulid/v2"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"roomwatch/cmd/internal/environ"
	"roomwatch/cmd/internal/program"
	"roomwatch/cmd/roomaudit/trail"
	"roomwatch/diff/retry"
	"roomwatch/publisher/natsconn"
	"roomwatch/publisher/streams"
)

const (
	batchRows = 500 // messages that share a sync of the disk
	// mostPending is how many messages NATS delivers before they are on the disk.
	mostPending = 10 * batchRows
	askWait     = 5 * time.Second
	idleWait    = 5 * time.Second // for one more message, before the stream is checked
	// heartbeat is how often NATS says that it has a request for messages. After two
	// that lack the request is lost, and made anew.
	heartbeat = 5 * time.Second
	// ackWait is more than a file takes to be sealed and compressed, see [maxFileBytes]. What is
	// delivered again all the same is passed over: it costs time, and doubles nothing.
	ackWait   = 5 * time.Minute
	pauseMost = 10 * time.Second
)

func runCommand() *cobra.Command {
	var behind string
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Record every event until SIGINT or SIGTERM",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := configured()
			if err != nil {
				return err
			}
			last, err := parsePlace("--continue", behind)
			if err != nil {
				return err
			}
			log, flush := environ.Unblocked(c.logger, cmd.ErrOrStderr())
			defer flush()
			key, err := c.signer(log)
			if err != nil {
				return err
			}
			defer program.Survive(cmd.Context(), log)()
			environ.WarnOfUnknown(cmd.Context(), log, "roomaudit", unknownVariables())
			w, err := trail.Open(trail.Options{Dir: c.Dir, MaxFileBytes: c.MaxFileBytes, Key: key, Log: log, Keep: c.Keep, Copies: c.SealedCommand != "", Continue: last})
			if err != nil {
				return err
			}
			err = record(cmd.Context(), c, w, log)
			err = errors.Join(err, w.Close())
			line, hash := w.Lines()
			log.Info("roomaudit stopped", "line", line, "hash", hash, "stream_sequence", w.Position().Last)
			return err
		},
	}
	cmd.Flags().StringVar(&behind, "continue", "", "continue after `LINE:HASH`, as verify prints it: the last line of a trail whose files were all moved to an archive")
	return cmd
}

// need is what the stream is needed for.
func (r *recorder) need() streams.Need { return streams.Reader(r.Stream, mostPending) }

// A recorder reads the stream into a trail.
type recorder struct {
	*config
	js     jetstream.JetStream
	trail  *trail.Writer
	status *status
	log    *slog.Logger

	process string    // its id
	made    time.Time // when the consumer that a session had was made
	began   bool      // a session had the consumer
	warned  []string  // of the stream's settings
	failing string    // what is wrong at present, as it was logged; empty: nothing
	again   retry.Reminder
}

// record records until ctx is done, and keeps the trail in order meanwhile. It
// returns when all of it has ended.
func record(ctx context.Context, c *config, w *trail.Writer, log *slog.Logger) error {
	now := newStatus()
	server, err := c.server(w, now, log)
	if err != nil {
		return err
	}
	l, err := c.http().Listen(ctx)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	if l != nil {
		group.Go(func() error { return server.Serve(ctx, l) })
	}
	group.Go(func() error { return watch(ctx, c, w, now, log) })
	group.Go(func() error { return newUpkeep(c, w, now, log).run(ctx) })
	if c.SealedCommand != "" {
		group.Go(func() error {
			newUpkeep(c, w, now, log).keepCopies(ctx)
			return nil
		})
	}
	if c.SQLite != "" {
		group.Go(func() error {
			newUpkeep(c, w, now, log).keepSQLite(ctx)
			return nil
		})
	}
	group.Go(func() error {
		keepIndexes(ctx, c.Dir, log)
		return nil
	})
	return group.Wait()
}

// watch records until ctx is done. NATS may be away, and the disk full: it waits.
// A trail that somebody changes ends it.
func watch(ctx context.Context, c *config, w *trail.Writer, now *status, log *slog.Logger) error {
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	connect := c.Connection("roomaudit", c.NATSURL, log)
	connect.Denied = func(err error) { giveUp(fmt.Errorf("record stream %s: %w", c.Stream, err)) }
	conn, err := natsconn.Connect(ctx, connect)
	if program.Stopped(ctx, err) {
		return nil // nothing was asked of NATS yet
	}
	if err != nil {
		return err
	}
	defer conn.Close()
	line, _ := w.Lines()
	log.InfoContext(ctx, "roomaudit started", "version", program.Version(), "dir", c.Dir, "line", line, "stream", c.Stream, "stream_sequence", w.Position().Last)
	r := &recorder{config: c, trail: w, status: now, log: log, process: ulid.Make().String()}
	pause := retry.BackOff(100*time.Millisecond, pauseMost)
	for ctx.Err() == nil {
		before := w.Position()
		err := r.over(ctx, conn)
		if ctx.Err() != nil {
			break
		}
		if errors.Is(err, trail.ErrBroken) || !r.began && (errors.Is(err, errTaken) || !streams.MayPass(err)) {
			return err
		}
		if w.Position() != before {
			pause.Reset()
		}
		if !errors.Is(err, errReconnected) {
			r.condition(ctx, err)
		}
		_ = retry.Sleep(ctx, pause.NextBackOff())
	}
	if cause := context.Cause(ctx); errors.Is(cause, nats.ErrPermissionViolation) {
		return cause
	}
	return nil
}

// over is a session over a connection. One that NATS has closed permanently is
// replaced first.
func (r *recorder) over(ctx context.Context, conn *natsconn.Conn) error {
	if err := conn.Connect(ctx); err != nil {
		return err
	}
	var err error
	if r.js, err = conn.JetStream(); err != nil {
		return err
	}
	if !conn.IsConnected() {
		return conn.WhyAway()
	}
	err = r.need().Explain(r.session(ctx))
	if !conn.IsConnected() && !errors.Is(err, trail.ErrBroken) && !errors.Is(err, errDisk) {
		return conn.WhyAway() // which says more than what failed by it
	}
	return err
}

// condition logs that something went wrong, again while that lasts, and that it is
// well.
func (r *recorder) condition(ctx context.Context, err error) {
	var text, fix string
	switch {
	case err == nil:
	case errors.Is(err, errDisk):
		text, fix = err.Error(), "make room on the disk of ROOMAUDIT_DIR, or repair it; nothing is acknowledged until then, and nothing is lost while the stream keeps it"
	case errors.Is(err, streams.ErrLimit), errors.Is(err, streams.ErrUnfit):
		text, fix = err.Error(), "see what it names; it is retried"
	case errors.Is(err, jetstream.ErrStreamNotFound):
		text, fix = err.Error(), "start roomwatch, which makes the stream, or set ROOMWATCH_STREAM"
	case errors.Is(err, errTaken):
		text, fix = err.Error(), "stop the other roomaudit, or give it a ROOMAUDIT_DURABLE of its own"
	case errors.Is(err, natsconn.ErrAuth):
		text, fix = err.Error(), "see what it names; it is retried"
	default:
		text, fix = err.Error(), "check that NATS runs, that NATS_URL is right and that JetStream answers"
	}
	switch {
	case text == r.failing && (text == "" || !r.again.Due()):
	case text == "":
		r.log.InfoContext(ctx, "recording recovered")
	default:
		r.again.Said()
		r.log.WarnContext(ctx, "recording fails", "error", text, "fix", fix)
	}
	r.failing = text
	r.status.record(text)
}
