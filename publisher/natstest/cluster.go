package natstest

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// Nodes is how many a [Cluster] has.
const Nodes = 3

// A Cluster is a JetStream cluster outside any bubble, of which nodes can be taken away.
type Cluster struct {
	t       testing.TB
	clients [Nodes]int // ports
	routes  [Nodes]int
	dirs    [Nodes]string
	nodes   [Nodes]*server.Server // nil: down
}

// NewCluster returns a cluster that has a leader.
func NewCluster(t testing.TB) *Cluster {
	t.Helper()
	c := &Cluster{t: t}
	for n := range Nodes {
		c.clients[n], c.routes[n], c.dirs[n] = freePort(t), freePort(t), t.TempDir()
	}
	for n := range Nodes {
		c.Start(n)
	}
	t.Cleanup(func() {
		for n := range Nodes {
			c.Stop(n)
		}
	})
	for end := time.Now().Add(30 * time.Second); !c.led(); <-time.After(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the cluster has no leader")
		}
	}
	return c
}

// Start starts a node on the files and ports it had before.
func (c *Cluster) Start(n int) {
	c.t.Helper()
	var peers []*url.URL
	for _, port := range c.routes {
		peers = append(peers, &url.URL{Scheme: "nats", Host: fmt.Sprintf("127.0.0.1:%d", port)})
	}
	c.nodes[n] = Start(c.t, func(o *server.Options) {
		o.ServerName, o.Port, o.StoreDir, o.SyncAlways = fmt.Sprintf("node-%d", n), c.clients[n], c.dirs[n], true
		// Clients know what they were told, and find no way around a [Link].
		o.Cluster, o.Routes = server.ClusterOpts{Name: "rooms", Host: "127.0.0.1", Port: c.routes[n], NoAdvertise: true}, peers
	})
}

// Stop takes a node away. One that is away already stays away.
func (c *Cluster) Stop(n int) {
	if s := c.nodes[n]; s != nil {
		s.Shutdown()
		s.WaitForShutdown()
		c.nodes[n] = nil
	}
}

func (c *Cluster) led() bool {
	for _, s := range c.nodes {
		if s != nil && s.JetStreamIsLeader() {
			return true
		}
	}
	return false
}

// Away returns how many nodes are away.
func (c *Cluster) Away() (n int) {
	for _, s := range c.nodes {
		if s == nil {
			n++
		}
	}
	return n
}

// URLs are those of the nodes.
func (c *Cluster) URLs() (urls []string) {
	for _, port := range c.clients {
		urls = append(urls, fmt.Sprintf("nats://127.0.0.1:%d", port))
	}
	return urls
}

// URL names all nodes, for clients.
func (c *Cluster) URL() string { return strings.Join(c.URLs(), ",") }

// Messages returns the sequence of the newest message that a stream's leader has, or 0
// if there is no leader.
func (c *Cluster) Messages(stream string) int {
	for _, s := range c.nodes {
		if s == nil || !s.JetStreamIsStreamLeader(server.DEFAULT_GLOBAL_ACCOUNT, stream) {
			continue
		}
		account, err := s.JszAccount(&server.JSzOptions{Account: server.DEFAULT_GLOBAL_ACCOUNT, Streams: true})
		if err != nil {
			continue
		}
		for _, has := range account.Streams {
			if has.Name == stream {
				return int(has.State.LastSeq)
			}
		}
	}
	return 0
}

func freePort(t testing.TB) int {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}
