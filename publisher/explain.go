package publisher

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/publisher/natsconn"
)

// Codes of the server that the client library has no names for, besides those of
// package streams.
const (
	codeTooLarge      jetstream.ErrorCode = 10054 // the message is larger than the stream allows
	codeStoreFailed   jetstream.ErrorCode = 10077 // the store failed: it is full, or its disk has an error
	codeSealed        jetstream.ErrorCode = 10109 // the stream is sealed
	codeIDOnItsWay    jetstream.ErrorCode = 10158 // another message with this id is on its way
	codeWrongSequence jetstream.ErrorCode = 10164 // the newest claim is not the one expected
)

// explain adds to the error of a question what an operator can do, and the reason
// that NATS tells apart from the answer, such as a missing permission.
func (p *Publisher) explain(q natsconn.Question, err error) error {
	var api *jetstream.APIError
	switch {
	case natsconn.IsMaxPayload(err):
		return natsconn.MaxPayloadError(err)
	case errors.As(err, &api):
		if fix := p.fix(api); fix != "" {
			return fmt.Errorf("%w; %s", err, fix)
		}
		return p.stream.need(p.app).Explain(err)
	}
	switch last := q.Reason(); {
	case errors.Is(last, nats.ErrPermissionViolation):
		return fmt.Errorf("%w (%w); ask the account administrator to grant it", err, last)
	case natsconn.IsMaxPayload(last):
		return natsconn.MaxPayloadError(fmt.Errorf("%w (%w)", err, last))
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, nats.ErrTimeout):
		// Also a disk's error, and a limit that is reached within a batch, have none.
		return fmt.Errorf("%w: NATS gave no answer; check the log and the disk of nats-server, and the account's limits with `nats account info`", err)
	}
	return err
}

// fix says what makes the server take what it has refused; empty if that is not known.
func (p *Publisher) fix(refusal *jetstream.APIError) string {
	name := p.stream.Name
	switch refusal.ErrorCode {
	case codeTooLarge:
		return fmt.Sprintf("raise the limit with `nats stream edit %s --max-msg-size=…`", name)
	case codeStoreFailed:
		if isFull(refusal) {
			return fmt.Sprintf("make room with `nats stream edit %s --max-bytes=… --max-msgs=…`, or let old events go with `nats stream edit %s --discard=old`", name, name)
		}
		return "check the log and the disk of nats-server"
	case codeSealed:
		return "a stream that is sealed stays so: `roomwatch check` says how to replace it"
	}
	return ""
}
