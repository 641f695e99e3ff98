package natsconn

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/nats-io/nats.go"

	"roomwatch/diff/retry"
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
	opts = append(opts, c.config.handlers(d.gate)...)
	if c.config.Inbox != "" {
		opts = append(opts, nats.CustomInboxPrefix(c.config.Inbox))
	}
	if c.config.InProcess != nil {
		opts = append(opts, nats.InProcessServer(localServer{c.config.InProcess, d}))
	}
	return append(opts, c.credentials(d.identity)...)
}

// handlers log what changes; the rest of the program asks the connection.
func (c Config) handlers(g *gate) []nats.Option {
	log := c.logger()
	ctx := context.Background()
	// The newest try failed for this reason; handlers are called one after the other.
	var why string
	var again retry.Reminder
	var lost time.Time // when the connection was; zero if there was none yet
	return []nats.Option{
		nats.DisconnectErrHandler(func(nc *nats.Conn, err error) {
			g.disconnected()
			if lost = time.Now(); !nc.IsClosed() {
				log.WarnContext(ctx, "nats lost", "error", err, "fix", "see that NATS runs and can be reached; the connection is tried again for ever")
			}
		}),
		nats.ReconnectHandler(func(nc *nats.Conn) {
			why = ""
			log.InfoContext(ctx, "nats connected", "server", serverOf(nc))
		}),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) {
			// That there are no servers is what the first try comes to, whatever kept it
			// from each of them; the next one, a moment later, says.
			if errors.Is(err, nats.ErrNoServers) || errors.Is(err, errHeld) {
				return
			}
			if cause := innermost(err).Error(); cause != why || again.Due() {
				why = cause
				again.Said()
				attrs := []any{"error", err, "fix", "see that NATS runs and that NATS_URL is right; it is tried for ever"}
				if !lost.IsZero() {
					attrs = append(attrs, "since", lost.UTC().Truncate(time.Second))
				}
				log.WarnContext(ctx, "nats away", attrs...)
			}
		}),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			log.WarnContext(ctx, "nats", "error", err)
			if c.Denied != nil && errors.Is(err, nats.ErrPermissionViolation) {
				c.Denied(lacking(err))
			}
		}),
	}
}

// reconnectDelay doubles from try to try, less up to a half, so that the clients
// of a server that was away do not all come back at once.
func reconnectDelay(tries int) time.Duration {
	d := min(reconnectMost, reconnectWait<<min(tries, 4))
	return d - rand.N(d/2)
}

// innermost is the error without what changes from try to try, such as ports.
func innermost(err error) error {
	for inner := err; inner != nil; inner = errors.Unwrap(inner) {
		err = inner
	}
	return err
}
