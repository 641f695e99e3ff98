package events

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// dropWait is how long the answer to the deletion of a consumer is waited for.
const dropWait = 100 * time.Millisecond

// A reading is a consumer that brings each message after the one before.
type reading struct {
	arrivals <-chan arrival
	consumer string // its name: one that the library made anew has another
	pending  uint64 // messages that it has for us
	end      uint64 // the last message that the stream had after it was made
}

// An arrival is a message that was read, or why none was.
type arrival struct {
	msg jetstream.Msg
	err error
}

// arrivals reads msgs until the first error, or until ctx is done, and stops them
// and closes the channel then. It reads beside its caller: while the client makes an ordered consumer
// anew, it heeds neither a context nor Stop. Only MaxResetAttempts of the
// consumer ends that.
func arrivals(ctx context.Context, msgs jetstream.MessagesContext) <-chan arrival {
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
	return c
}

// wait waits until the reading has ended, for at most dropWait. A consumer is
// deleted only after that: the client would take the deletion for a fault, and
// make the consumer anew.
func (r *reading) wait() {
	late := time.NewTimer(dropWait)
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
