package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"roomwatch/cmd/internal/environ"
	"roomwatch/cmd/internal/program"
	"roomwatch/cmd/roomnotify/rules"
	"roomwatch/diff/retry"
	"roomwatch/publisher/natsconn"
)

const (
	startPause    = 2 * time.Second // between tries to find the streams
	sharedPause   = 15 * time.Second
	dialPauseMax  = 30 * time.Second // between connections that NATS closes permanently
	mostPending   = 256              // events that wait in memory for one target; the others wait in the stream
	ackWait       = 5 * time.Second  // after which the next roomnotify gets what one that was killed had taken
	graceOverTime = 2 * time.Second  // what a handler needs after its request has ended
)

func runCommand(path *string) *cobra.Command {
	return &cobra.Command{
		Use:   "run",
		Short: "Send notifications until SIGINT or SIGTERM (the daemon)",
		Long: "run is the daemon. The first start begins with new events; later starts resume where the last one stopped. Each target\n" +
			"has its own position in the events, so no target delays another. The rule file is read again when it has changed, at SIGHUP,\n" +
			"and by `roomnotify reload`.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, file, err := configured(*path)
			if err != nil {
				return err
			}
			log, flush := environ.Unblocked(cfg.logger, cmd.ErrOrStderr())
			defer flush()
			defer program.Survive(cmd.Context(), log)()
			environ.WarnOfUnknown(cmd.Context(), log, "roomnotify", unknownVariables(file))
			return runDaemon(cmd.Context(), cfg, file, log)
		},
	}
}

// runDaemon runs roomnotify until ctx is done. It answers probes while it waits for
// NATS, too.
func runDaemon(ctx context.Context, cfg *config, file *rules.File, log *slog.Logger) error {
	d := newDaemon(cfg, file, log)
	server, err := cfg.http().Probes(d.metrics.registry, d.status.readiness, log)
	if err != nil {
		return fmt.Errorf("%w: %w", errConfig, err)
	}
	defer program.OnHangup(d.hangUp)()
	l, err := cfg.http().Listen(ctx)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	serving, end := context.WithCancel(ctx)
	if l != nil {
		group.Go(func() error { return server.Serve(serving, l) })
	}
	group.Go(func() error {
		defer end()
		return d.connectAndRun(ctx)
	})
	return group.Wait()
}

func (d *daemon) connectAndRun(ctx context.Context) error {
	cfg, log := d.cfg, d.log
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	connect := cfg.Connection("roomnotify", cfg.NATSURL, log)
	connect.Denied = func(err error) { giveUp(fmt.Errorf("notify: %w", err)) }
	conn, err := natsconn.Connect(ctx, connect)
	if program.Stopped(ctx, err) {
		log.InfoContext(ctx, "roomnotify stopped", "reason", "a signal before the start was done")
		return nil
	}
	if err != nil {
		return err
	}
	defer conn.Close()
	for _, w := range d.file.Warnings {
		log.WarnContext(ctx, "rule file has a questionable entry", "finding", w)
	}
	log.InfoContext(ctx, "roomnotify started", "version", program.Version(), "rules", len(d.file.Rules), "targets", len(d.file.Targets), "stream", cfg.Stream)
	if err := d.runOver(ctx, conn); err != nil {
		return err
	}
	if cause := context.Cause(ctx); errors.Is(cause, nats.ErrPermissionViolation) {
		return cause
	}
	log.InfoContext(ctx, "roomnotify stopped")
	return nil
}

// A daemon tells all targets what their rules want.
type daemon struct {
	cfg       *config
	file      *rules.File
	js        jetstream.JetStream
	log       *slog.Logger
	transport http.RoundTripper // nil: a usual one for each target
	dial      dialFunc          // of e-mail; nil: a usual one
	me        owner
	left      map[string]time.Time // when an earlier roomnotify was last at work for each target; none if that is not known

	status  *status
	metrics *metrics

	targets map[string]*target // that are told, or were by the rules before
	hangups chan struct{}      // asks for a reload
	tried   [32]byte           // the sum of the rule file that was read last, whether or not it could be used
	request string             // the newest `roomnotify reload` that was seen
}

func newDaemon(cfg *config, file *rules.File, log *slog.Logger) *daemon {
	d := &daemon{cfg: cfg, file: file, log: log, me: newOwner(), status: newStatus(), hangups: make(chan struct{}, 1), tried: file.Sum}
	d.metrics = newMetrics(d.status)
	d.metrics.registry.MustRegister(nameInfo(cfg.Name))
	return d
}

// runOver runs over a connection. When NATS has closed it permanently, there is
// another one, and everything begins as after a start: what was on its way comes
// again from the streams.
func (d *daemon) runOver(ctx context.Context, conn *natsconn.Conn) error {
	pause := retry.BackOff(startPause, dialPauseMax)
	var reported changes
	for {
		err := conn.Connect(ctx)
		if err == nil {
			if d.js, err = conn.JetStream(); err != nil {
				return err
			}
			began := time.Now()
			if err = d.run(ctx); ctx.Err() != nil || !conn.IsClosed() {
				return err
			}
			if err = conn.WhyClosed(); time.Since(began) > dialPauseMax {
				pause.Reset()
				reported = changes{}
			}
		}
		if ctx.Err() == nil && reported.differ(err) {
			d.log.WarnContext(ctx, "NATS closed the connection", "error", err, "fix", "see what the error names and the log of nats-server; another connection is made")
		}
		if retry.Sleep(ctx, pause.NextBackOff()) != nil {
			return nil
		}
	}
}

// run returns nil when ctx is done, and an error for what waiting does not fix, or
// when NATS has closed the connection permanently.
func (d *daemon) run(ctx context.Context) error {
	senders, err := d.senders(d.file)
	if err != nil {
		return err
	}
	set := &ruleSet{file: d.file, senders: senders}
	defer func() { set.close() }()
	s, err := d.open(ctx)
	if err != nil || s == nil {
		return err
	}
	nc := d.js.Conn()
	d.status.connects(func() error {
		if nc.IsConnected() {
			return nil
		}
		return natsconn.Of(nc).WhyAway()
	})
	for {
		next, err := d.runRules(ctx, s, set)
		if err != nil || next == nil {
			return err
		}
		set.close()
		set = next
	}
}

// runRules runs by some rules until ctx is done, and then returns nil, or until
// there are others. Then each target has ended what was on its way: what was not
// begun comes again from the streams.
func (d *daemon) runRules(ctx context.Context, s *store, set *ruleSet) (next *ruleSet, err error) {
	d.file = set.file
	if err := d.warnOfLeftovers(ctx, s); err != nil {
		d.log.WarnContext(ctx, "stored notifications cannot be read", "error", err) // it is of use to a person alone
	}
	ctx, end := context.WithCancel(ctx)
	defer end()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		d.mind(ctx, s)
		return nil
	})
	began := time.Now()
	targets := map[string]*target{}
	for i := range set.file.Targets {
		t := &set.file.Targets[i]
		if sender := set.senders[t.Name]; sender != nil {
			g := newTarget(ctx, t, set.file.Of(t.Name), s, sender.send, newWatch(d.left[t.Name], began), d.metrics.of(t.Name), d.log)
			g.pulses = pulses{d.js, d.cfg.Stream, d.cfg.Prefix}
			if was := d.targets[t.Name]; was != nil {
				g.inherit(was)
			}
			targets[t.Name] = g
		}
	}
	d.targets = targets
	d.status.begin(targets)
	d.answer(ctx, s, set.request, set, nil)
	for _, g := range targets {
		group.Go(func() error { return d.serve(ctx, s, g) })
	}
	group.Go(func() error {
		if next = d.awaitRules(ctx, s); next != nil {
			end()
		}
		return nil
	})
	err = group.Wait()
	return next, err
}

// senders returns one for each target that a rule names.
func (d *daemon) senders(file *rules.File) (map[string]*sender, error) {
	senders := map[string]*sender{}
	for i := range file.Targets {
		t := &file.Targets[i]
		if len(file.Of(t.Name)) == 0 {
			continue
		}
		s := newSender(t, d.transport)
		s.dial, s.missed = d.dial, d.missed(t)
		if err := s.follow(t, d.log); err != nil {
			return nil, err
		}
		senders[t.Name] = s
	}
	return senders, nil
}

// serve tells one target.
func (d *daemon) serve(ctx context.Context, s *store, g *target) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		g.watch.run(ctx, d.js.Conn())
		return nil
	})
	group.Go(func() error { return d.subscribe(ctx, s, g) })
	return group.Wait()
}

// workers is how many requests a target gets at once. A chat gets one, so that
// rooms that are told beside each other come in their order, or nearly.
func workers(t *rules.Target) int {
	if t.Kind == "webhook" {
		return 8
	}
	return 1
}
