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
//	go run ./cmd/roombench fresh      4,000 rooms that come and go: how old news is, with sweeps
//	                                  alone, with point reads, probes and callbacks
//	go run ./cmd/roombench takeover   a stream of 100,000 rooms and two daemons: how long nobody reads the list
//	                                  when the writer stops, and when it is killed with a lease of 5 s
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
	"strconv"
	"strings"
	"syscall"
	"time"

	"roomwatch/poller/simulator"
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
		return fmt.Errorf("name what to measure: sweeps, quota, fresh or takeover")
	}
	flags := flag.NewFlagSet("roombench "+args[0], flag.ContinueOnError)
	addr := flags.String("addr", "", "address of the stub or of nats-server (used by roombench itself)")
	bins := flags.String("bin", "", "directory of the roomwatch and the nats-server to be measured; empty builds them as they are released")
	switch args[0] {
	case "sweeps":
		rooms := flags.Int("rooms", 100_000, "rooms on the list")
		rounds := flags.Int("rounds", 5, "how often everything is measured")
		if err := flags.Parse(args[1:]); err != nil {
			return err
		}
		printMachine()
		return benchSweeps(ctx, *bins, *rooms, max(1, *rounds))
	case "quota":
		rooms := flags.Int("rooms", 10_000, "rooms on the list")
		sweeps := flags.Int("sweeps", 3, "sweeps to measure, after the first")
		readers := flags.Int("readers", 0, "open pages: each reads events, status, rooms and metrics as the status page and Prometheus do")
		if err := flags.Parse(args[1:]); err != nil {
			return err
		}
		printMachine()
		return benchQuota(ctx, *bins, *rooms, *sweeps, *readers)
	case "fresh":
		all, err := parseLiveliness(flags, args[1:])
		if err != nil {
			return err
		}
		printMachine()
		for _, l := range all {
			if err := benchFresh(ctx, *bins, l); err != nil {
				return err
			}
		}
		return nil
	case "takeover":
		rooms := flags.Int("rooms", 100_000, "rooms on the list, each a subject of the stream")
		if err := flags.Parse(args[1:]); err != nil {
			return err
		}
		printMachine()
		return benchTakeover(ctx, *bins, *rooms)
	default:
		return runPart(ctx, flags, args, addr)
	}
}

// runPart is one of the processes that the measurements start.
func runPart(ctx context.Context, flags *flag.FlagSet, args []string, addr *string) error {
	switch args[0] {
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
		return fmt.Errorf("%q is unknown: name sweeps, quota, fresh or takeover", args[0])
	}
}

// parseLiveliness returns the worlds that are to be measured, one after the other: each
// list of rooms at each latency with each cursor.
func parseLiveliness(flags *flag.FlagSet, args []string) (all []liveliness, err error) {
	var l liveliness
	next := flags.String("next", "rank", "cursors of the list: rank, key or frozen, or several, with commas")
	rooms := flags.String("rooms", "4000", "rooms on the list, or several numbers, with commas")
	latency := flags.String("latency", "40ms", "of each answer of the service, or several, with commas")
	flags.Float64Var(&l.opens, "opens", 2, "rooms opened a second, and as many closed")
	flags.Float64Var(&l.enters, "enters", 250, "people entering a second")
	flags.DurationVar(&l.watch, "watch", 2*time.Minute, "time of the changes that count")
	flags.DurationVar(&l.wait, "wait", 150*time.Second, "time for the news of them")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	cursors := map[string]simulator.Next{"rank": simulator.NextRank, "key": simulator.NextKey, "frozen": simulator.NextFrozen}
	for n := range strings.SplitSeq(*rooms, ",") {
		if l.rooms, err = strconv.Atoi(n); err != nil || l.rooms < 1 {
			return nil, fmt.Errorf("-rooms is %q: write numbers from 1 on, such as 4000,20000", *rooms)
		}
		for d := range strings.SplitSeq(*latency, ",") {
			if l.latency, err = time.ParseDuration(d); err != nil {
				return nil, fmt.Errorf("-latency is %q: write times such as 40ms,200ms", *latency)
			}
			for l.cursor = range strings.SplitSeq(*next, ",") {
				var ok bool
				if l.next, ok = cursors[l.cursor]; !ok {
					return nil, fmt.Errorf("-next is %q: choose from rank, key and frozen", *next)
				}
				all = append(all, l)
			}
		}
	}
	return all, nil
}

func printMachine() {
	fmt.Printf("%s, %d CPUs, %s\n\n", runtime.Version(), runtime.NumCPU(), cpuModel())
}
