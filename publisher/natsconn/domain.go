package natsconn

import (
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// JetStream returns the JetStream of the configured domain, over the connection
// that is used now.
func (c *Conn) JetStream(opts ...jetstream.JetStreamOpt) (jetstream.JetStream, error) {
	var js jetstream.JetStream
	nc, err := c.Client(), nats.ErrConnectionClosed
	switch {
	case nc == nil:
	case c.config.Domain == "":
		js, err = jetstream.New(nc, opts...)
	default:
		js, err = jetstream.NewWithDomain(nc, c.config.Domain, opts...)
	}
	if err != nil {
		return nil, fmt.Errorf("open jetstream: %w", err)
	}
	return js, nil
}

// Summary says where the connection goes. The nats command takes no domain from the
// environment: without the flag, it would find another server's stream of the name.
func (c *Conn) Summary() string {
	s := fmt.Sprintf("connected to %s, nats-server %s", c.Server(), c.Client().ConnectedServerVersion())
	if c.config.Domain != "" {
		s += fmt.Sprintf(", JetStream domain %[1]s: the `nats` commands below need --js-domain=%[1]s", c.config.Domain)
	}
	return s
}

// APIPrefix is where the requests begin that the client library has no function for.
func APIPrefix(js jetstream.JetStream) string {
	if domain := js.Options().Domain; domain != "" {
		return "$JS." + domain + ".API."
	}
	return jetstream.DefaultAPIPrefix
}
