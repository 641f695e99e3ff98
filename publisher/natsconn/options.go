package natsconn

import (
	"cmp"
	"math/rand/v2"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	firstTry      = 2 * time.Second // for each server of NATS_URL, at the start
	reconnectWait = 500 * time.Millisecond
	reconnectMost = 5 * time.Second
	pingEvery     = 20 * time.Second
	// writeMost is how long a network may take no byte. The client holds its mutex
	// meanwhile, and whoever asks it anything waits.
	writeMost = 2 * time.Second
)

func (c *Conn) options(d dialer) []nats.Option {
	opts := []nats.Option{
		nats.Name(cmp.Or(c.config.Name, "roomwatch")),
		nats.Timeout(firstTry),
		nats.SkipHostLookup(), // the dialer's, which has a limit of time
		nats.SetCustomDialer(d),
		nats.MaxReconnects(-1),
		nats.CustomReconnectDelay(reconnectDelay),
		nats.PingInterval(pingEvery),
		nats.MaxPingsOutstanding(2),
		nats.FlusherTimeout(writeMost),
		// What is not sent now must not be sent later behind our back.
		nats.ReconnectBufSize(-1),
		nats.IgnoreAuthErrorAbort(),
	}
	opts = append(opts, newReporter(c.config, d.gate).handlers()...)
	if c.config.Inbox != "" {
		opts = append(opts, nats.CustomInboxPrefix(c.config.Inbox))
	}
	if c.config.InProcess != nil {
		opts = append(opts, nats.InProcessServer(localServer{c.config.InProcess, d}))
	}
	return append(opts, c.credentials(d.identity)...)
}

// reconnectDelay doubles from try to try, less up to a half, so that the clients
// of a server that was away do not all come back at once.
func reconnectDelay(tries int) time.Duration {
	d := min(reconnectMost, reconnectWait<<min(tries, 4))
	return d - rand.N(d/2)
}
