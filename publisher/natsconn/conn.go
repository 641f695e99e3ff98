package natsconn

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"sync/atomic"

	"github.com/nats-io/nats.go"
)

// A Conn is the connection of a program to NATS. A connection that is lost is
// tried again forever. One that is closed permanently, because the server reported
// an error that the client library does not know, is replaced by the next Connect.
//
// What the files of its configuration hold is read before each connection and each
// try to have one again, so they may be exchanged: a file that cannot be used is
// logged, and what it held before stays in use. A Conn is safe for concurrent use.
type Conn struct {
	config Config
	files  *files

	link   atomic.Pointer[link] // nil before the first
	turn   chan struct{}        // holds one element while a link is made, or closed is checked
	closed bool                 // no more links
}

// A link is one connection of the client library.
type link struct {
	client *nats.Conn
	gate   *gate
}

// New returns a Conn that is connected to nothing. What [Config.Check] finds is an
// [ErrAuth].
func New(c Config) (*Conn, error) {
	f, err := c.open()
	if err = errors.Join(c.checkValues(), err); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAuth, err)
	}
	return &Conn{config: c, files: f, turn: make(chan struct{}, 1)}, nil
}

// Connect is [Conn.Connect] of a new Conn.
func Connect(ctx context.Context, c Config) (*Conn, error) {
	return dialled(ctx, c, (*Conn).Connect)
}

// Dial is [Conn.Dial] of a new Conn.
func Dial(ctx context.Context, c Config) (*Conn, error) {
	return dialled(ctx, c, (*Conn).Dial)
}

func dialled(ctx context.Context, config Config, dial func(*Conn, context.Context) error) (*Conn, error) {
	c, err := New(config)
	if err != nil {
		return nil, err
	}
	if err := dial(c, ctx); err != nil {
		return nil, err
	}
	return c, nil
}

// Of returns a Conn of a client that was made elsewhere. It is not replaced, and
// [Conn.Hold] does not keep it from reconnecting.
func Of(nc *nats.Conn) *Conn {
	c := &Conn{turn: make(chan struct{}, 1), closed: true}
	c.link.Store(&link{nc, &gate{}})
	return c
}

// Connect connects, unless there is a connection already, which may be lost for
// now. That NATS is away is no error: it is retried forever. That it refuses the
// credentials is [ErrAuth]. No secret is in the error or the log.
func (c *Conn) Connect(ctx context.Context) error {
	return c.replace(ctx, func() (*link, error) {
		l, err := c.dial(ctx)
		if err == nil || errors.Is(err, ErrAuth) || ctx.Err() != nil {
			return l, err
		}
		l, err = c.make(ctx, nats.RetryOnFailedConnect(true), nats.ConnectHandler(func(nc *nats.Conn) {
			c.config.logger().InfoContext(context.WithoutCancel(ctx), "NATS connected", "server", serverOf(nc))
		}))
		if err != nil {
			return nil, fmt.Errorf("connect to %s: %w", c.config.shown(), err)
		}
		return l, nil
	})
}

// Dial connects, unless there is a connection already. It is an error if NATS
// cannot be reached now.
func (c *Conn) Dial(ctx context.Context) error {
	return c.replace(ctx, func() (*link, error) { return c.dial(ctx) })
}

func (c *Conn) dial(ctx context.Context) (*link, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	l, err := c.make(ctx)
	if err != nil {
		if isAuth(err) {
			err = authError(err)
		}
		return nil, fmt.Errorf("connect to %s: %w", c.config.shown(), err)
	}
	return l, nil
}

// replace puts a link in the place of one that is closed permanently, if there is any.
func (c *Conn) replace(ctx context.Context, dial func() (*link, error)) error {
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if !c.IsClosed() {
		return nil
	}
	if c.closed {
		return nats.ErrConnectionClosed
	}
	l, err := dial()
	if err != nil {
		return err
	}
	c.link.Store(l)
	return nil
}

// make makes a link with the client library.
func (c *Conn) make(ctx context.Context, more ...nats.Option) (*link, error) {
	d := dialer{gate: &gate{}, identity: &identity{nkey: c.files.nkey}}
	nc, err := connect(ctx, c.config.URL, append(c.options(d), more...))
	if err != nil {
		return nil, err
	}
	d.identity.belongsTo(nc)
	return &link{nc, d.gate}, nil
}

// Close ends the connection permanently.
func (c *Conn) Close() {
	c.turn <- struct{}{}
	defer func() { <-c.turn }()
	c.closed = true
	if l := c.link.Load(); l != nil {
		l.client.Close()
	}
}

// Client is the connection of the client library that is used now; nil before the
// first.
func (c *Conn) Client() *nats.Conn {
	if l := c.link.Load(); l != nil {
		return l.client
	}
	return nil
}

// IsConnected reports whether NATS can be asked now.
func (c *Conn) IsConnected() bool {
	l := c.link.Load()
	return l != nil && l.client.IsConnected()
}

// IsClosed reports whether there is no connection, not even one that is lost for
// now: the next Connect makes one.
func (c *Conn) IsClosed() bool {
	l := c.link.Load()
	return l == nil || l.client.IsClosed()
}

// Hold keeps the client from reconnecting until release is called.
// lost is called when the connection is lost meanwhile: no answer will come then.
// One who holds does not wait for anybody.
func (c *Conn) Hold(lost func()) (release func()) {
	g := c.link.Load().gate
	g.hold(lost)
	return g.release
}

// Server returns the address that the connection has, without what is secret in
// it; empty if it has none.
func (c *Conn) Server() string {
	l := c.link.Load()
	if l == nil {
		return ""
	}
	return serverOf(l.client)
}

func serverOf(nc *nats.Conn) string {
	u, err := url.Parse(nc.ConnectedUrl())
	if err != nil || u.Host == "" {
		return ""
	}
	return u.Scheme + "://" + u.Host // a user without a password is a token
}
