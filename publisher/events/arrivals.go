package events

import (
	"context"

	"github.com/nats-io/nats.go/jetstream"
)

// An arrival is a message that was read, or why none was.
type arrival struct {
	msg jetstream.Msg
	err error
}

// arrivals reads msgs until the first error, or until ctx is done, and stops them
// then. It reads beside its caller: while the client makes an ordered consumer
// anew, it heeds neither a context nor Stop. Only MaxResetAttempts of the
// consumer ends that.
func arrivals(ctx context.Context, msgs jetstream.MessagesContext) <-chan arrival {
	c := make(chan arrival)
	go func() {
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
