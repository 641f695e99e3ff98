package publisher

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// A Reading brings the messages of a consumer, one by one. It reads beside its
// caller: while the client makes an ordered consumer anew, it heeds neither a
// context nor Stop. Only MaxResetAttempts of the consumer ends that.
type Reading struct{ arrivals <-chan arrival }

// An arrival is a message that was read, or why none was.
type arrival struct {
	msg jetstream.Msg
	err error
}

// Read reads until the first error, or until ctx is done, and stops msgs then.
func Read(ctx context.Context, msgs jetstream.MessagesContext) Reading {
	c := make(chan arrival)
	go func() {
		defer close(c)
		defer msgs.Stop()
		for {
			msg, err := msgs.Next(jetstream.NextContext(ctx))
			select {
			case c <- arrival{msg, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	return Reading{c}
}

// Next returns the next message. It returns as soon as ctx is done, and waits no
// longer than atMost, if that is not 0. After an error there are no more messages.
func (r Reading) Next(ctx context.Context, atMost time.Duration) (jetstream.Msg, error) {
	var late <-chan time.Time
	if atMost > 0 {
		t := time.NewTimer(atMost)
		defer t.Stop()
		late = t.C
	}
	select {
	case a, more := <-r.arrivals:
		if !more {
			return nil, jetstream.ErrMsgIteratorClosed
		}
		return a.msg, a.err
	case <-late:
		return nil, fmt.Errorf("no message for %v: %w", atMost, nats.ErrTimeout)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Wait waits until the reading has ended, for at most atMost. A consumer is
// deleted only after that: the client would take the deletion for a fault, and
// make the consumer anew.
func (r Reading) Wait(atMost time.Duration) {
	late := time.NewTimer(atMost)
	defer late.Stop()
	for {
		select {
		case _, more := <-r.arrivals:
			if !more {
				return
			}
		case <-late.C:
			return
		}
	}
}
