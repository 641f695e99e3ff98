package natsconn

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"

	"roomwatch/diff/retry"
)

// mostTold bounds the causes that are remembered: what is not allowed can have a name of
// its own each time.
const mostTold = 100

// A reporter logs what happens to a connection, once, and again while it lasts; the
// rest of the program asks the connection. The client calls its handlers one after
// the other.
type reporter struct {
	log    *slog.Logger
	gate   *gate
	denied func(error) // may be nil

	lost  time.Time       // when the connection was; zero if there was none yet
	told  map[string]bool // why it is not there
	again retry.Reminder
}

func newReporter(c Config, g *gate) *reporter {
	return &reporter{log: c.logger(), gate: g, denied: c.Denied, told: map[string]bool{}}
}

func (r *reporter) handlers() []nats.Option {
	return []nats.Option{
		nats.DisconnectErrHandler(r.disconnected),
		nats.ReconnectHandler(r.reconnected),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { r.away(err) }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { r.failed(err) }),
	}
}

func (r *reporter) disconnected(nc *nats.Conn, err error) {
	r.gate.disconnected()
	if r.lost = time.Now(); !nc.IsClosed() {
		r.log.WarnContext(context.Background(), "NATS connection lost", "error", err, "fix", "check that NATS runs and can be reached; it is retried forever")
	}
}

func (r *reporter) reconnected(nc *nats.Conn) {
	clear(r.told)
	r.lost = time.Time{}
	r.log.InfoContext(context.Background(), "NATS connected", "server", serverOf(nc))
}

// away logs why a connection cannot be made again.
func (r *reporter) away(err error) {
	// That there are no servers is what the first try comes to, whatever kept it
	// from each of them; the next one, a moment later, says.
	if errors.Is(err, nats.ErrNoServers) || errors.Is(err, errHeld) {
		return
	}
	if isAuth(err) {
		r.failed(err)
		return
	}
	r.warn(innermost(err).Error(), "NATS is not reachable", "error", err, "fix", "check that NATS runs and that NATS_URL is right; it is retried forever")
}

// failed logs what NATS reports. It refuses credentials with each try, and what is not
// allowed with each message.
func (r *reporter) failed(err error) {
	if isAuth(err) {
		r.warn("credentials", "NATS refuses the credentials", "error", err, "fix", authFix+"; it is retried forever")
		return
	}
	if !errors.Is(err, nats.ErrPermissionViolation) {
		r.log.WarnContext(context.Background(), "nats reports an error", "error", err)
		return
	}
	err = lacking(err)
	r.warn(err.Error(), "nats reports an error", "error", err)
	if r.denied != nil {
		r.denied(err)
	}
}

// warn logs a cause once, and again while it lasts.
func (r *reporter) warn(cause, message string, attrs ...any) {
	if r.again.Due() || len(r.told) == mostTold {
		clear(r.told)
	}
	if r.told[cause] {
		return
	}
	r.told[cause] = true
	r.again.Said()
	if !r.lost.IsZero() {
		attrs = append(attrs, "since", r.lost.UTC().Truncate(time.Second))
	}
	r.log.WarnContext(context.Background(), message, attrs...) //nolint:sloglint // a literal of the caller
}

// innermost is the error without what changes from try to try, such as ports.
func innermost(err error) error {
	for inner := err; inner != nil; inner = errors.Unwrap(inner) {
		err = inner
	}
	return err
}
