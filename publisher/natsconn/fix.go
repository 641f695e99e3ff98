package natsconn

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
)

// ErrAuth means that NATS refuses who asks, or that what says where NATS is and
// who asks cannot be used.
var ErrAuth = errors.New("NATS settings")

// errAway is all that is known of a connection that is lost.
var errAway = errors.New("NATS is not connected")

// WhyAway says why NATS cannot be asked now: the client's own words for it are of
// its buffers.
func (c *Conn) WhyAway() error {
	if c.IsClosed() {
		return c.WhyClosed()
	}
	return cmp.Or(c.Refused(), errAway)
}

// Refused returns [ErrAuth] if NATS has refused the credentials when the
// connection was to be made again, and else nil.
func (c *Conn) Refused() error {
	if last := c.Client().LastError(); isAuth(last) {
		return authError(last)
	}
	return nil
}

// WhyClosed says why the server has ended the connection, and what fixes it.
func (c *Conn) WhyClosed() error {
	last := c.Client().LastError()
	err := fmt.Errorf("NATS has closed the connection: %w", cmp.Or(last, nats.ErrConnectionClosed))
	if IsMaxPayload(last) {
		return MaxPayloadError(err)
	}
	return err
}

const authFix = "set NATS_CREDS, NATS_NKEY, NATS_USER and NATS_PASSWORD, or NATS_TOKEN, or what their files hold, to what the server knows"

func authError(err error) error {
	return fmt.Errorf("%w: %w; %s", ErrAuth, err, authFix)
}

func isAuth(err error) bool {
	if err == nil {
		return false
	}
	for _, e := range []error{nats.ErrAuthorization, nats.ErrAuthExpired, nats.ErrAuthRevoked, nats.ErrAccountAuthExpired} {
		if errors.Is(err, e) {
			return true
		}
	}
	return strings.Contains(strings.ToLower(err.Error()), "authorization violation")
}

// IsMaxPayload reports whether a message was too large, for the client or for
// the server: the client hears of the limit only when it connects.
func IsMaxPayload(err error) bool {
	return errors.Is(err, nats.ErrMaxPayload) ||
		err != nil && strings.Contains(strings.ToLower(err.Error()), "maximum payload violation")
}

// MaxPayloadError adds to such an error what fixes it.
func MaxPayloadError(err error) error {
	return fmt.Errorf("%w; raise max_payload in the server's configuration, and start roomwatch or the server again: a client hears of the limit when it connects", err)
}

// lacking names the fix of a permission violation, which names subject and direction.
func lacking(err error) error {
	return fmt.Errorf("%w; ask the account administrator to grant it", err)
}
