package main

import (
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"roomwatch/poller/simulator"
	"roomwatch/publisher/natstest"
)

// NATS without JetStream is there and of no use; every command says so, and how
// that is fixed.
func TestNATSWithoutJetStream(t *testing.T) {
	r := newRig(t, simulator.Config{Seed: 1, Rooms: 3, Quota: -1})
	s := natstest.Start(t, func(o *server.Options) { o.JetStream = false })
	env := r.env(t.TempDir(), "NATS_URL="+s.ClientURL())
	const fix = "start nats-server with -js"
	for command, want := range map[string]int{"check": 1, "tail": 2, "verify": 2} {
		if status, out := runWith(t, env, command); status != want || !strings.Contains(out, fix) {
			t.Errorf("%s: exit status %d:\n%s", command, status, out)
		}
	}
	p := startProcess(t, env, "run")
	away := func() string { return lines(p.output.String(), "stream is not reachable") }
	eventually(t, "a word about the stream", func() bool { return away() != "" })
	if line := away(); !strings.Contains(line, fix) || strings.Contains(line, "check that NATS runs") {
		t.Error(line)
	}
	if status := p.stop(); status != 0 {
		t.Errorf("exit status %d:\n%s", status, p.output)
	}
}

// The line of the start has no address of a NATS that is away.
func TestStartWithoutNATS(t *testing.T) {
	r := newRig(t, simulator.Config{Seed: 1, Rooms: 3, Quota: -1})
	p := startProcess(t, r.env(t.TempDir(), "NATS_URL=nats://"+freeAddr(t)), "run")
	eventually(t, "the start", func() bool { return strings.Contains(p.output.String(), "roomwatch started") })
	if line := lines(p.output.String(), "roomwatch started"); !strings.Contains(line, "nats=away ") {
		t.Error(line)
	}
	if status := p.stop(); status != 0 {
		t.Errorf("exit status %d:\n%s", status, p.output)
	}
}
