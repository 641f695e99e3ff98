package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"roomwatch/cmd/internal/program"
	"roomwatch/poller/simulator"
)

// simulatorMax keeps the world small enough for one core.
const simulatorMax = 20_000

func simulatorCommand() *cobra.Command {
	var addr string
	var rooms int
	var calls simulator.Callbacks
	cmd := &cobra.Command{
		Use:   "simulator",
		Short: "Serve a simulated Tencent Live: try run, the chart or the unit without an account",
		Long: "simulator answers get_room_list and get_room_info as the service does, for a world of rooms that open, are\n" +
			"entered and close, leave the list and come back. It is late, fails now and then, and is wrong for two seconds\n" +
			"every two minutes: roomwatch has to bear that. It prints the variables that roomwatch needs for it. It reads\n" +
			"no variables itself and keeps nothing: each start begins a new world, in which all rooms of the one before\n" +
			"have ended.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if rooms < 0 || rooms > simulatorMax {
				return program.BadFlags(fmt.Errorf("--rooms %d: must be 0 to %d", rooms, simulatorMax))
			}
			return serveWorld(cmd.Context(), addr, rooms, calls, cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&addr, "addr", "127.0.0.1:9000", "`ADDRESS` to listen on; :9000 for all addresses of this host")
	cmd.Flags().StringVar(&calls.URL, "callbacks", "", "`URL` to call when a room is created, destroyed or updated, such as http://127.0.0.1:8090/webhook")
	cmd.Flags().StringVar(&calls.Token, "callback-token", demoToken, "`TOKEN` that signs them")
	cmd.Flags().IntVar(&rooms, "rooms", demoRooms, "about `N` rooms are live at any time")
	return cmd
}

// serveWorld serves a new world until ctx is done.
func serveWorld(ctx context.Context, addr string, rooms int, calls simulator.Callbacks, stdout io.Writer) error {
	world, err := simulator.New(worldOf(rooms, time.Now()))
	if err != nil {
		return err
	}
	if err := world.SetCallbacks(calls); err != nil {
		return program.BadFlags(fmt.Errorf("--callbacks: %w", err))
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("serve the simulated service: %w; set --addr to a free address", err)
	}
	_, err = fmt.Fprintf(stdout, `The simulated service has some %d live rooms. Ctrl-C stops it. It is configured by

  export ROOMWATCH_ENDPOINT=%s
  export ROOMWATCH_SDKAPPID=%d
  export ROOMWATCH_SECRET_KEY=%s

`, rooms, baseURL(l.Addr()), demoApp, demoKey)
	if err != nil {
		_ = l.Close()
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		world.SendCallbacks(ctx)
		return nil
	})
	g.Go(func() error { return mislead(ctx, world.Lie) })
	g.Go(func() error { return serveSimulator(ctx, l, world) })
	return g.Wait()
}

// baseURL is the base URL of an address. One that is all addresses of the host
// is shown with the host's name.
func baseURL(a net.Addr) string {
	host, port, err := net.SplitHostPort(a.String())
	if err != nil {
		return "http://" + a.String()
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		if name, err := os.Hostname(); err == nil {
			host = name
		}
	}
	return "http://" + net.JoinHostPort(host, port)
}
