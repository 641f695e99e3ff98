package daemon

import (
	"context"
	"net"
	"os"

	"github.com/nats-io/nats.go"

	"roomwatch/poller"
)

// outside is what the daemon reaches beyond its process. Tests put a simulated world
// into its place, in which time is faked and files and connections can be closed under
// the running parts. A nil field is the real thing.
type outside struct {
	dial     func(ctx context.Context, network, addr string) (net.Conn, error) // to the service
	listen   func(ctx context.Context, network, addr string) (net.Listener, error)
	openFile func(name string, flag int, perm os.FileMode) (*os.File, error) // the state file
	nats     nats.InProcessConnProvider                                      // not the servers of the configuration
	sink     func(sink) sink                                                 // between the poller and the state
}

// tap returns what the poller hands to s.
func (o outside) tap(s sink) sink {
	if o.sink == nil {
		return s
	}
	return o.sink(s)
}

func (o outside) listener(ctx context.Context, addr string) (net.Listener, error) {
	if o.listen == nil {
		o.listen = new(net.ListenConfig).Listen
	}
	return o.listen(ctx, "tcp", addr)
}

// A sink takes what the poller reads.
type sink interface {
	poller.Sink
	poller.Answers
}
