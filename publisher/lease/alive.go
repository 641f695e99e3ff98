package lease

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"roomwatch/publisher/natsconn"
)

// askWait is how long NATS has to say that nobody is there.
const askWait = 500 * time.Millisecond

func (s *store) processSubject(instance string) string {
	return "roomwatch." + strconv.Itoa(s.app) + ".process." + instance
}

// A presence is how NATS knows of this process: that somebody hears the subject is enough.
type presence struct {
	*natsconn.Listener
	store    *store
	instance string
	heard    chan struct{} // has a value when the process has heard itself
}

func (s *store) presence(instance string) *presence {
	p := &presence{store: s, instance: instance, heard: make(chan struct{}, 1)}
	p.Listener = s.conn.Listener(s.processSubject(instance), func(*nats.Msg) {
		select {
		case p.heard <- struct{}{}:
		default:
		}
	})
	return p
}

// gone reports whether a process is certain not to be there: NATS knows nobody who
// hears it, and this process hears itself. Where NATS does not let it, others may be
// there and are not heard either. One that is frozen is not gone; one whose connection is
// lost is, until it has another, so only the first answer counts: who was there then may
// have been cut off since.
func (p *presence) gone(ctx context.Context, instance string) (bool, error) {
	nc := p.store.conn.Client()
	if nc == nil || !nc.IsConnected() {
		return false, nats.ErrDisconnected
	}
	ctx, cancel := context.WithTimeout(ctx, askWait)
	defer cancel()
	if err := nc.Publish(p.store.processSubject(p.instance), nil); err != nil {
		return false, fmt.Errorf("ask whether this process is there: %w", err)
	}
	_, err := nc.RequestWithContext(ctx, p.store.processSubject(instance), nil)
	switch {
	case err == nil, errors.Is(err, context.DeadlineExceeded): // those who are there say nothing
		return false, nil
	case !errors.Is(err, nats.ErrNoResponders):
		return false, fmt.Errorf("ask whether %s is there: %w", instance, err)
	}
	select {
	case <-p.heard:
		return true, nil
	case <-ctx.Done():
		return false, nil
	}
}
