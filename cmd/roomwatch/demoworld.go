package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"roomwatch/poller/simulator"
)

// What the demo's service does wrong: enough to be seen in the metrics and on the
// page, and so little that the events stay the show.
const (
	demoLatency  = 20 * time.Millisecond
	demoInfoLag  = 300 * time.Millisecond // of the replica that answers get_room_info
	demoNextLife = time.Minute
	demoFaults   = 0.01 // of the requests: 100001, try again, or half an answer

	demoLie      = 2 * time.Second
	demoLieEvery = 2 * time.Minute

	codeInternal = 100001 // of the service: try again
)

// worldOf is a world of rooms that live 150 seconds on average: small worlds are
// lively enough to show each kind of event within seconds.
func worldOf(rooms int, began time.Time) simulator.Config {
	n := float64(rooms)
	fault := simulator.Fault{ErrorCode: codeInternal}
	return simulator.Config{
		SDKAppID: demoApp, SecretKey: demoKey, Seed: demoSeed, Start: began, Forget: time.Hour,
		Rooms: rooms, Opens: n / demoLife.Seconds(), Enters: n / 10, Recreates: n / 1500, Hides: n / 900,
		Latency: demoLatency, InfoLag: demoInfoLag, NextLife: demoNextLife,
		Fault:     simulator.Random(demoSeed, demoFaults, fault, simulator.Fault{CutBody: true}),
		InfoFault: simulator.Random(demoSeed+1, demoFaults, fault, simulator.Fault{CutBody: true}),
	}
}

// mislead lets the whole service be wrong for a moment now and then, in each way in
// turn, until ctx is done.
func mislead(ctx context.Context, lie func(simulator.Lies, time.Duration)) error {
	next := time.NewTicker(demoLieEvery)
	defer next.Stop()
	for {
		for _, kind := range []simulator.Lies{simulator.LieInfo, simulator.LieList, simulator.LieInfo | simulator.LieList} {
			select {
			case <-next.C:
				lie(kind, demoLie)
			case <-ctx.Done():
				return nil
			}
		}
	}
}

// lieWords say in the demo what the service is about to do.
var lieWords = map[simulator.Lies]string{
	simulator.LieInfo:                     "says that no room exists",
	simulator.LieList:                     "cuts the list",
	simulator.LieInfo | simulator.LieList: "cuts the list and says that no room exists",
}

// announced is lie with a line before it, so that the warnings that follow are understood.
func announced(w io.Writer, lie func(simulator.Lies, time.Duration)) func(simulator.Lies, time.Duration) {
	return func(kind simulator.Lies, d time.Duration) {
		_, _ = fmt.Fprintf(w, "(For %s the simulated service %s. No room must end by that.)\n", d, lieWords[kind])
		lie(kind, d)
	}
}
