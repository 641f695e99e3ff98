package main

import (
	"context"
	"math/rand/v2"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/poller/simulator"
	"roomwatch/publisher/natstest"
)

// newClusterRig is a rig with a cluster in place of one server.
func newClusterRig(t *testing.T, config simulator.Config) (*rig, *natstest.Cluster) {
	t.Helper()
	config.SDKAppID, config.SecretKey = testApp, testKey
	world, err := simulator.New(config)
	if err != nil {
		t.Fatal(err)
	}
	c := natstest.NewCluster(t)
	r := &rig{t: t, world: world, api: httptest.NewServer(world)}
	t.Cleanup(r.api.Close)
	r.nc, err = nats.Connect(c.URL(), nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.nc.Close)
	return r, c
}

// TestCluster takes nodes of a cluster away, one or two of three at a time, and
// kills the daemon meanwhile. Without a majority nothing is stored; with one
// again, all that happened is, once.
func TestCluster(t *testing.T) {
	if testing.Short() {
		t.Skip("lets a cluster elect its leaders")
	}
	t.Parallel()
	r, c := newClusterRig(t, simulator.Config{Seed: 4, Rooms: 100, Opens: 3, Enters: 60, Recreates: 0.3, Quota: -1, Next: simulator.NextKey})
	env := r.env(t.TempDir(), "NATS_URL="+c.URL(), "ROOMWATCH_STREAM_REPLICAS=3")
	p := startProcess(t, env, "run")
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the daemon said:\n%s", p.output)
		}
	})
	eventually(t, "events", func() bool { return c.Messages("LIVE") > 100 })
	rng := rand.New(rand.NewPCG(7, 8))
	for round := range 6 {
		first := rng.IntN(natstest.Nodes)
		second := (first + 1) % natstest.Nodes
		c.Stop(first)
		if round%2 == 1 {
			c.Stop(second)
		}
		<-time.After(time.Duration(rng.IntN(1500)) * time.Millisecond)
		if round%3 == 0 {
			p.kill()
			p = startProcess(t, env, "run")
		}
		if round%2 == 1 {
			c.Start(second)
		}
		c.Start(first)
		before := 0
		eventually(t, "a stream that has a leader", func() bool { before = c.Messages("LIVE"); return before > 0 })
		eventually(t, "new events", func() bool { return c.Messages("LIVE") > before })
	}
	eventually(t, "a cluster that answers", func() bool { return answers(t, r.nc) })
	events := settle(t, r.nc, r.world)
	if status := p.stop(); status != 0 || t.Failed() {
		t.Errorf("exit status %d:\n%s", status, p.output)
	}
	v := startProcess(t, env, "verify")
	if status := v.wait(30 * time.Second); status != 0 {
		t.Errorf("verify: exit status %d:\n%s", status, v.output)
	}
	t.Logf("%d events: %s", len(events), count(events))
}

// answers reports whether the cluster can be asked: without a leader it lets
// questions lie.
func answers(t *testing.T, nc *nats.Conn) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	_, err = js.CreateConsumer(ctx, "LIVE", jetstream.ConsumerConfig{InactiveThreshold: time.Minute})
	return err == nil
}
