package natsconn

import (
	"fmt"

	"github.com/nats-io/nats.go"
)

// A Listener is a subscription that follows its [Conn] to the connection that takes the
// place of one that was closed permanently. It must not be used concurrently.
type Listener struct {
	conn    *Conn
	subject string
	hear    nats.MsgHandler

	over *nats.Conn // that of sub
	sub  *nats.Subscription
}

// Listener returns one that hears nothing before the first [Listener.Keep].
func (c *Conn) Listener(subject string, hear nats.MsgHandler) *Listener {
	return &Listener{conn: c, subject: subject, hear: hear}
}

// Keep subscribes over the connection that is used now, unless it has done so. Its owner
// calls it again and again. If it fails, the next call tries again.
func (l *Listener) Keep() error {
	nc := l.conn.Client()
	if nc == nil || l.over == nc && l.sub.IsValid() {
		return nil
	}
	sub, err := nc.Subscribe(l.subject, l.hear)
	if err != nil {
		return fmt.Errorf("subscribe to %s: %w", l.subject, err)
	}
	l.over, l.sub = nc, sub
	return nil
}

// End hears nothing more.
func (l *Listener) End() {
	if l.sub != nil {
		_ = l.sub.Unsubscribe() // it goes with the connection
	}
}
