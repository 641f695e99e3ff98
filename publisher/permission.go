package publisher

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
)

// denied adds to the error of a request the permission that lacks. NATS does not
// answer a request that it does not allow, so all that is seen of it is a
// time-out; the reason comes by itself, and is the connection's last error.
func denied(nc *nats.Conn, err error) error {
	if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, nats.ErrTimeout) || errors.Is(err, nats.ErrPermissionViolation) {
		return err // an answer, or it is named already
	}
	last := nc.LastError()
	if !errors.Is(last, nats.ErrPermissionViolation) {
		return err
	}
	return fmt.Errorf("%w: %w", err, lacking(last))
}

// lacking names the mend of a permission violation, which names subject and direction.
func lacking(err error) error {
	return fmt.Errorf("%w; let the account's administrator grant it", err)
}
