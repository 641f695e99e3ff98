// Command roombench measures roomwatch from outside: the real binary against a
// stub of the service and a nats-server of its own, each a process, all on the
// loopback interface of this machine.
//
//	go run ./cmd/roombench sweeps     a list of 100,000 rooms, no quota: time until
//	                                  the last event is stored, beside the bare
//	                                  reading of the list, the same with ready
//	                                  events published meanwhile, and peak memory
//	go run ./cmd/roombench quota      10,000 rooms at the vendor's quota, 1 % of
//	                                  them changing a sweep: lag, use of the quota, CPU
//
// It reports ratios within one run; the figures of two machines do not compare.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "roombench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("name what to measure: sweeps or quota")
	}
	flags := flag.NewFlagSet("roombench "+args[0], flag.ContinueOnError)
	addr := flags.String("addr", "", "address of the stub or of nats-server (used by roombench itself)")
	switch args[0] {
	case "sweeps":
		rooms := flags.Int("rooms", 100_000, "rooms on the list")
		rounds := flags.Int("rounds", 5, "how often everything is measured")
		if err := flags.Parse(args[1:]); err != nil {
			return err
		}
		printMachine()
		return benchSweeps(ctx, *rooms, max(1, *rounds))
	case "quota":
		rooms := flags.Int("rooms", 10_000, "rooms on the list")
		sweeps := flags.Int("sweeps", 3, "sweeps to measure, after the first")
		readers := flags.Int("readers", 0, "open pages: each reads events, status, rooms and metrics as the status page and Prometheus do")
		if err := flags.Parse(args[1:]); err != nil {
			return err
		}
		printMachine()
		return benchQuota(ctx, *rooms, *sweeps, *readers)
	case "stub":
		rooms := flags.Int("rooms", 0, "rooms on the list")
		if err := flags.Parse(args[1:]); err != nil {
			return err
		}
		return serveStub(ctx, *addr, *rooms)
	case "publish":
		rooms := flags.Int("rooms", 0, "rooms on the list")
		if err := flags.Parse(args[1:]); err != nil {
			return err
		}
		return publishReady(ctx, *addr, *rooms)
	case "read":
		if err := flags.Parse(args[1:]); err != nil {
			return err
		}
		return readList(ctx, *addr)
	default:
		return fmt.Errorf("%q is unknown: name sweeps or quota", args[0])
	}
}

func printMachine() {
	fmt.Printf("%s, %d CPUs, %s\n\n", runtime.Version(), runtime.NumCPU(), cpuModel())
}
