package lease

import (
	"context"
	"errors"
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

// presence is how NATS knows of this process: that somebody hears the subject is enough.
func (s *store) presence(instance string) *natsconn.Listener {
	return s.conn.Listener(s.processSubject(instance), func(*nats.Msg) {})
}

// gone reports whether a process is certain not to be there: NATS knows nobody who
// hears it. One that is frozen is not gone; one whose connection is lost is, until it has
// another, so only the first answer counts: who was there then may have been cut off since.
func (s *store) gone(ctx context.Context, instance string) (bool, error) {
	nc := s.conn.Client()
	if nc == nil || !nc.IsConnected() {
		return false, nats.ErrDisconnected
	}
	ctx, cancel := context.WithTimeout(ctx, askWait)
	defer cancel()
	_, err := nc.RequestWithContext(ctx, s.processSubject(instance), nil)
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		return true, nil
	case err == nil, errors.Is(err, context.DeadlineExceeded): // those who are there say nothing
		return false, nil
	}
	return false, fmt.Errorf("ask whether %s is there: %w", instance, err)
}
