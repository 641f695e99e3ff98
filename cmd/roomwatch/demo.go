package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"roomwatch/cmd/internal/environ"
	"roomwatch/cmd/internal/program"
	"roomwatch/cmd/roomwatch/config"
	"roomwatch/cmd/roomwatch/daemon"
	"roomwatch/diff"
	"roomwatch/poller/simulator"
	"roomwatch/poller/webhook"
)

// The demo's world: small enough to read along, lively enough to show each kind
// of event within seconds.
const (
	demoApp      = 1400000000
	demoKey      = "key-of-the-simulated-service"
	demoToken    = "token-of-the-simulated-service" // of its callbacks
	demoSeed     = 1
	demoRooms    = 30
	demoLife     = 150 * time.Second // of a room, on average
	demoInterval = 2 * time.Second
	demoTimeout  = 5 * time.Second // for a request, and for its answer
	// demoAge is how long a world continues between two starts. An older one would
	// take noticeable time to catch up; a new one takes its place.
	demoAge = 24 * time.Hour

	demoFix = "set ROOMWATCH_DATA_DIR to a directory that roomwatch may read and write"
)

func demoCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "Watch a simulated service and print the events: no account, no set-up",
		Long: "demo is the daemon on a simulated service, with an embedded JetStream server, and prints the events as they\n" +
			"happen. It keeps its state in the directory demo/ of ROOMWATCH_DATA_DIR. The next start resumes where this one\n" +
			"stopped; the simulated world has continued meanwhile. If port 4222 or 8080 is in use, demo takes another one,\n" +
			"unless ROOMWATCH_NATS_PORT or ROOMWATCH_HTTP_ADDR is set.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.Read(validateForDemo)
			if err != nil {
				return err
			}
			return demo(cmd.Context(), cfg, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
}

// validateForDemo checks what is left of the configuration when the demo has
// put its own application and server in.
func validateForDemo(c *config.Config) error {
	c.SDKAppID, c.Identifier = demoApp, "administrator"
	c.SecretKey, c.SecretKeyFile, c.UserSig = demoKey, "", ""
	c.Endpoint, c.NATSURL, c.NATSDomain = "http://127.0.0.1", "", "" // the port comes with the simulator
	c.Interval = demoInterval
	c.WebhookToken, c.WebhookTokenFile = demoToken, ""
	if c.WebhookAddr == "off" && c.PointReadsPerSecond != 0 {
		c.WebhookAddr = "127.0.0.1:0"
	}
	if environ.Value("ROOMWATCH_EVENTS") == "" && c.PointReadsPerSecond != 0 {
		c.Events = append(c.Events, string(diff.RoomHidden), string(diff.RoomShown)) // each kind of event is shown
	}
	c.DataDir = filepath.Join(c.DataDir, "demo")
	if environ.Value("ROOMWATCH_LOG_LEVEL") == "" {
		c.LogLevel = slog.LevelWarn // the events are the show
	}
	return c.Validate()
}

func demo(ctx context.Context, cfg config.Config, stdout, stderr io.Writer) (err error) {
	log, flush := environ.Unblocked(cfg.Logger, stderr)
	defer flush()
	defer program.Survive(ctx, log)()
	environ.WarnOfUnknown(ctx, log, "roomwatch", config.Unknown())
	began, err := worldStart(cfg.DataDir, time.Now())
	if err != nil {
		return err
	}
	world, err := simulator.New(worldOf(demoRooms, began))
	if err != nil {
		return err
	}
	service, err := listenFree(ctx, "127.0.0.1:0")
	if err != nil {
		return err
	}
	cfg.Endpoint = "http://" + service.Addr().String()
	moved, err := useFreePorts(ctx, &cfg)
	if err != nil {
		return errors.Join(err, service.Close())
	}

	d, err := daemon.New(ctx, &cfg, log)
	if err != nil {
		return errors.Join(err, service.Close())
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	if err := greet(stdout, d, &cfg, moved); err != nil {
		return errors.Join(err, service.Close())
	}
	if addr := d.CallbackAddr(); addr != "" {
		if err := world.SetCallbacks(simulator.Callbacks{URL: "http://" + addr + webhook.Path, Token: demoToken}); err != nil {
			return errors.Join(err, service.Close())
		}
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		world.SendCallbacks(ctx)
		return nil
	})
	g.Go(func() error { return mislead(ctx, announced(stdout, world.Lie)) })
	g.Go(func() error { return serveSimulator(ctx, service, world) })
	g.Go(func() error { return d.Run(ctx) })
	g.Go(func() error { return show(ctx, d, &cfg, log, stdout) })
	if err := g.Wait(); err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, "\nStopped. The state is in %s; the next start resumes here.\n", cfg.DataDir)
	return err
}

// demoPatience is long: a server that gives no answer is restarted meanwhile.
const demoPatience = 10 * time.Minute

// show prints the events from the stream, as every subscriber gets them.
func show(ctx context.Context, d *daemon.Daemon, cfg *config.Config, log *slog.Logger, w io.Writer) error {
	select {
	case <-d.Recovered(): // the stream is there
	case <-ctx.Done():
		return nil
	}
	p := newEventPrinter(w, isTerminal(w))
	return follow(ctx, d.Conn(), cfg, selection{}, log, demoPatience, func(_ []byte, e diff.Event) error { return p.print(e) })
}

func greet(w io.Writer, d *daemon.Daemon, cfg *config.Config, moved string) error {
	_, err := fmt.Fprintf(w, `roomwatch watches a simulated service with some %d live rooms. Ctrl-C stops it.
%s
Subscribe from another terminal:
%s  go run ./cmd/roomwatch tail
  go run ./cmd/roomaudit run
  nats --server %s subscribe '%s.>'

`, demoRooms, moved, whereNATSIs(d.NATSURL(), cfg.NATSPort), d.NATSURL(), cfg.SubjectPrefix)
	if err != nil || d.HTTPAddr() == "" {
		return err
	}
	_, err = fmt.Fprintf(w, "Status page: http://%s/\n\n", d.HTTPAddr())
	return err
}

// whereNATSIs is what subscribers must be told when the usual port was taken.
// roomaudit and roomnotify know nothing of an embedded server but its URL.
func whereNATSIs(url string, port int) string {
	if port == 4222 {
		return ""
	}
	return fmt.Sprintf("  export NATS_URL=%s    # for roomnotify, too\n", url)
}

func serveSimulator(ctx context.Context, l net.Listener, world http.Handler) error {
	srv := &http.Server{Handler: world, ReadTimeout: demoTimeout, WriteTimeout: demoTimeout, IdleTimeout: 2 * time.Minute}
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() })
	defer stop()
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the simulated service: %w", err)
	}
	return nil
}

// worldStart returns when the demo's world began. The world is a function of
// its seed and that moment, so this is all there is to remember of it.
func worldStart(dir string, now time.Time) (time.Time, error) {
	path := filepath.Join(dir, "world.json")
	var world struct{ Start time.Time }
	b, err := os.ReadFile(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		return now, fmt.Errorf("read the demo's world: %w; %s", err, demoFix)
	default:
		if err := json.Unmarshal(b, &world); err != nil {
			return now, fmt.Errorf("read the demo's world: %s: %w; delete the directory %s to start over", path, err, dir)
		}
	}
	if age := now.Sub(world.Start); age >= 0 && age <= demoAge {
		return world.Start, nil
	}
	world.Start = now
	if b, err = json.Marshal(world); err != nil {
		return now, err
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return now, fmt.Errorf("keep the demo's world: %w; %s", err, demoFix)
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		return now, fmt.Errorf("keep the demo's world: %w; %s", err, demoFix)
	}
	return now, nil
}

// useFreePorts takes other ports in place of the defaults that are taken: a
// newcomer may well have a NATS server running. It returns a line for each, to be
// shown. A port that was asked for stays: the daemon says that it is taken.
func useFreePorts(ctx context.Context, cfg *config.Config) (moved string, err error) {
	if environ.Value("ROOMWATCH_NATS_PORT") == "" {
		port, err := freePort(ctx, cfg.NATSPort)
		if err != nil {
			return "", err
		}
		if port != cfg.NATSPort {
			moved += fmt.Sprintf("Port %d is in use, so NATS has port %d; ROOMWATCH_NATS_PORT sets another.\n", cfg.NATSPort, port)
		}
		cfg.NATSPort = port
	}
	if environ.Value("ROOMWATCH_HTTP_ADDR") == "" {
		addr := freeHTTP(ctx, cfg.HTTPAddr)
		if addr != cfg.HTTPAddr {
			moved += fmt.Sprintf("Address %s is in use, so the status page has %s; ROOMWATCH_HTTP_ADDR sets another.\n", cfg.HTTPAddr, addr)
		}
		cfg.HTTPAddr = addr
	}
	return moved, nil
}

// freePort returns port if it is free, and another one if it is taken.
func freePort(ctx context.Context, port int) (int, error) {
	l, err := listenFree(ctx, "127.0.0.1:"+strconv.Itoa(port))
	if err != nil {
		return 0, err
	}
	defer func() { _ = l.Close() }()
	_, p, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(p)
}

// freeHTTP does the same for an address.
func freeHTTP(ctx context.Context, addr string) string {
	l, err := listenFree(ctx, addr)
	if err != nil {
		return addr // the daemon says what is wrong with it
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// listenFree listens on addr, or on another port of its host if that one is taken.
func listenFree(ctx context.Context, addr string) (net.Listener, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", addr)
	if err == nil {
		return l, nil
	}
	host, _, serr := net.SplitHostPort(addr)
	if serr != nil {
		return nil, err
	}
	return lc.Listen(ctx, "tcp", net.JoinHostPort(host, "0"))
}
