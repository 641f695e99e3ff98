package lease

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
)

// askWait is how long NATS has to say that nobody is there.
const askWait = 500 * time.Millisecond

func (s *store) processSubject(instance string) string {
	return "roomwatch." + strconv.Itoa(s.app) + ".process." + instance
}

// A presence is what NATS knows of this process, over the connection that is used now.
type presence struct {
	store    *store
	instance string
	over     *nats.Conn
	sub      *nats.Subscription
}

// be has NATS know the process; it is called again and again, since the connection may be
// another one.
func (p *presence) be() error {
	nc := p.store.conn.Client()
	if nc == nil || p.over == nc && p.sub.IsValid() {
		return nil
	}
	sub, err := nc.Subscribe(p.store.processSubject(p.instance), func(*nats.Msg) {}) // that somebody hears it is enough
	if err != nil {
		return fmt.Errorf("subscribe as this process: %w", err)
	}
	p.over, p.sub = nc, sub
	return nil
}

func (p *presence) end() {
	if p.sub != nil {
		_ = p.sub.Unsubscribe() // it goes with the connection
	}
}

// gone reports whether a process is certain not to be there: NATS knows nobody who
// hears it. One that is frozen is not gone; one whose connection is lost is, until it has
// another, so the answer counts only before this process has stood by.
func (s *store) gone(ctx context.Context, instance string) bool {
	nc := s.conn.Client()
	if nc == nil || !nc.IsConnected() {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, askWait)
	defer cancel()
	_, err := nc.RequestWithContext(ctx, s.processSubject(instance), nil)
	return errors.Is(err, nats.ErrNoResponders)
}
