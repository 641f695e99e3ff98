package natsconn

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
)

// A Question is a request to NATS. NATS does not answer what it does not allow,
// so all that is seen of it is a time-out; the reason comes by itself, and is the
// connection's last error. The client keeps that one until the connection is made
// anew, so only one that came after the question may be its reason.
type Question struct {
	nc     *nats.Conn
	before error // the connection's last error when it was asked
}

// Ask begins a question over the connection that is used now. It sends nothing.
func (c *Conn) Ask() Question {
	nc := c.Client()
	return Question{nc, nc.LastError()}
}

// Reason returns the error that NATS has sent beside the answer, or nil. One that
// says that the connection may not get answers holds for all its questions.
func (q Question) Reason() error {
	last := q.nc.LastError()
	if last == q.before && !noAnswers(last) { //nolint:errorlint // the same one, not one of the same kind
		return nil
	}
	return last
}

// noAnswers reports whether NATS has refused the subscription of the answers.
func noAnswers(err error) bool {
	return errors.Is(err, nats.ErrPermissionViolation) && strings.Contains(strings.ToLower(err.Error()), `violation for subscription to "_inbox`)
}

// Denied adds to the error of a question the missing permission.
func (q Question) Denied(err error) error {
	if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, nats.ErrTimeout) || errors.Is(err, nats.ErrPermissionViolation) {
		return err // an answer, or it is named already
	}
	last := q.Reason()
	if !errors.Is(last, nats.ErrPermissionViolation) {
		return err
	}
	return fmt.Errorf("%w: %w", err, lacking(last))
}
