package publisher

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Conn returns the connection that is used now. It is the one of [Config] until
// that is closed for good: the client library tries a lost connection again for
// ever, but ends one on which the server reports an error that it does not know.
func (p *Publisher) Conn() *nats.Conn { return p.conn.Load() }

func (p *Publisher) use(nc *nats.Conn) error {
	js, err := JetStream(nc, p.stream.Domain, jetstream.WithDefaultTimeout(requestTimeout))
	if err != nil {
		return err
	}
	p.js = js
	p.conn.Store(nc)
	return nil
}

// dial puts a new connection in the place of one that is closed.
func (p *Publisher) dial(ctx context.Context) {
	nc, err := p.redial(ctx)
	if err == nil {
		err = p.use(nc)
	}
	if err != nil && ctx.Err() == nil {
		p.failed(ctx, err)
	}
}

// closedError says why the server has ended a connection, and what mends it.
func closedError(last error) error {
	err := fmt.Errorf("NATS has closed the connection: %w", cmp.Or(last, nats.ErrConnectionClosed))
	if isMaxPayload(last) {
		return maxPayloadError(err)
	}
	return err
}

// isMaxPayload reports whether a message was too large, for the client or for
// the server: the client hears of the limit only when it connects.
func isMaxPayload(err error) bool {
	return errors.Is(err, nats.ErrMaxPayload) ||
		err != nil && strings.Contains(strings.ToLower(err.Error()), "maximum payload violation")
}

func maxPayloadError(err error) error {
	return fmt.Errorf("%w; raise max_payload in the server's configuration, and start roomwatch or the server again: a client hears of the limit when it connects", err)
}
