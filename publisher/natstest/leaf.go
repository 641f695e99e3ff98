package natstest

import (
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// Leaf runs a hub and a leaf node, both with JetStream, in the domains hub and leaf.
func Leaf(t testing.TB) (hub, leaf *server.Server) {
	t.Helper()
	hub = Start(t, func(o *server.Options) {
		o.ServerName, o.JetStreamDomain = "hub", "hub"
		o.LeafNode.Host, o.LeafNode.Port = "127.0.0.1", -1
	})
	v, err := hub.Varz(nil)
	if err != nil {
		t.Fatal(err)
	}
	remote := &url.URL{Scheme: "nats-leaf", Host: fmt.Sprintf("127.0.0.1:%d", v.LeafNode.Port)}
	leaf = Start(t, func(o *server.Options) {
		o.ServerName, o.JetStreamDomain = "leaf", "leaf"
		o.LeafNode.Remotes = []*server.RemoteLeafOpts{{URLs: []*url.URL{remote}}}
		o.LeafNode.ReconnectInterval = 50 * time.Millisecond
	})
	for end := time.Now().Add(10 * time.Second); leaf.NumLeafNodes() == 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the leaf node is not connected")
		}
	}
	return hub, leaf
}
