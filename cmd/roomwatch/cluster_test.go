package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/poller/simulator"
	"roomwatch/publisher/natstest"
)

const clusterNodes = 3

// A cluster is a JetStream cluster, of which nodes can be taken away.
type cluster struct {
	t       *testing.T
	clients [clusterNodes]int // ports
	routes  [clusterNodes]int
	dirs    [clusterNodes]string
	nodes   [clusterNodes]*server.Server // nil: down
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{t: t}
	for n := range clusterNodes {
		c.clients[n], c.routes[n], c.dirs[n] = freeLocalPort(t), freeLocalPort(t), t.TempDir()
	}
	for n := range clusterNodes {
		c.start(n)
	}
	t.Cleanup(func() {
		for n := range clusterNodes {
			c.stop(n)
		}
	})
	eventually(t, "a leader of the cluster", func() bool { return c.led() })
	return c
}

// start starts a node on the files and ports it had before.
func (c *cluster) start(n int) {
	c.t.Helper()
	var peers []*url.URL
	for _, port := range c.routes {
		peers = append(peers, &url.URL{Scheme: "nats", Host: fmt.Sprintf("127.0.0.1:%d", port)})
	}
	c.nodes[n] = natstest.Start(c.t, func(o *server.Options) {
		o.ServerName, o.Port, o.StoreDir, o.SyncAlways = fmt.Sprintf("node-%d", n), c.clients[n], c.dirs[n], true
		o.Cluster, o.Routes = server.ClusterOpts{Name: "rooms", Host: "127.0.0.1", Port: c.routes[n]}, peers
	})
}

// stop takes a node away. One that is away already stays away.
func (c *cluster) stop(n int) {
	if s := c.nodes[n]; s != nil {
		s.Shutdown()
		s.WaitForShutdown()
		c.nodes[n] = nil
	}
}

func (c *cluster) led() bool {
	for _, s := range c.nodes {
		if s != nil && s.JetStreamIsLeader() {
			return true
		}
	}
	return false
}

func (c *cluster) url() string {
	var urls []string
	for _, port := range c.clients {
		urls = append(urls, fmt.Sprintf("nats://127.0.0.1:%d", port))
	}
	return strings.Join(urls, ",")
}

// newClusterRig is a rig with a cluster in place of one server.
func newClusterRig(t *testing.T, config simulator.Config) (*rig, *cluster) {
	t.Helper()
	config.SDKAppID, config.SecretKey = testApp, testKey
	world, err := simulator.New(config)
	if err != nil {
		t.Fatal(err)
	}
	c := newCluster(t)
	r := &rig{t: t, world: world, api: httptest.NewServer(world)}
	t.Cleanup(r.api.Close)
	r.nc, err = nats.Connect(c.url(), nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.nc.Close)
	return r, c
}

func freeLocalPort(t *testing.T) int {
	t.Helper()
	_, port, err := net.SplitHostPort(freeAddr(t))
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	return n
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
	env := r.env(t.TempDir(), "NATS_URL="+c.url(), "ROOMWATCH_STREAM_REPLICAS=3")
	p := startProcess(t, env, "run")
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the daemon said:\n%s", p.output)
		}
	})
	eventually(t, "events", func() bool { return c.messages() > 100 })
	rng := rand.New(rand.NewPCG(7, 8))
	for round := range 6 {
		first := rng.IntN(clusterNodes)
		second := (first + 1) % clusterNodes
		c.stop(first)
		if round%2 == 1 {
			c.stop(second)
		}
		<-time.After(time.Duration(rng.IntN(1500)) * time.Millisecond)
		if round%3 == 0 {
			p.kill()
			p = startProcess(t, env, "run")
		}
		if round%2 == 1 {
			c.start(second)
		}
		c.start(first)
		before := 0
		eventually(t, "a stream that has a leader", func() bool { before = c.messages(); return before > 0 })
		eventually(t, "new events", func() bool { return c.messages() > before })
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

// messages returns how many messages the stream's leader has, or 0 if there is none.
func (c *cluster) messages() int {
	for _, s := range c.nodes {
		if s == nil || !s.JetStreamIsStreamLeader(server.DEFAULT_GLOBAL_ACCOUNT, "LIVE") {
			continue
		}
		account, err := s.JszAccount(&server.JSzOptions{Account: server.DEFAULT_GLOBAL_ACCOUNT, Streams: true})
		if err != nil {
			continue
		}
		for _, stream := range account.Streams {
			if stream.Name == "LIVE" {
				return int(stream.State.LastSeq)
			}
		}
	}
	return 0
}
