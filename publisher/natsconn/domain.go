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

// APIPrefix is where the requests begin that the client library has no function for.
func APIPrefix(js jetstream.JetStream) string {
	if domain := js.Options().Domain; domain != "" {
		return "$JS." + domain + ".API."
	}
	return jetstream.DefaultAPIPrefix
}
