package publisher

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"roomwatch/diff/retry"
	"roomwatch/diff/spans"
)

// requestTimeout is how long an answer of NATS is waited for.
const requestTimeout = 5 * time.Second

var (
	// errRenew ends a relay that has to claim anew: before its claim grows too old,
	// and where another WatchedSince belongs into it.
	errRenew = errors.New("the claim is to be renewed")
	// errReconnected ends a relay whose connection was made again, or is closed permanently.
	errReconnected = errors.New("reconnected")
	// errAway takes the place of what the client says of a request that it has
	// nobody to send to, or whose connection was lost before its answer.
	errAway = errors.New("NATS is not connected")
	// errRemembered ends a relay whose event the server took for a duplicate.
	errRemembered = errors.New("the server has had an event with this id")
)

// relay publishes what is committed after seq until ctx is done, the connection
// is recreated or an outcome is unknown, and then says so with an error: the next
// session claims anew and asks the stream how far it came. What the server
// refuses is retried here, and nothing is skipped.
func (s *session) relay(ctx context.Context, seq uint64, batches bool, renew <-chan time.Time) error {
	connected := s.nc.StatusChanged(nats.CONNECTED, nats.CLOSED)
	defer s.nc.RemoveStatusListener(connected)
	limit, pause := batchRows, retry.BackOff(retryFirst, retryMost)
	var now, next batch // the one that is published, and the one that is made meanwhile
	for {
		if s.reconnected() {
			return errReconnected
		}
		select {
		case <-renew: // also while the outbox is never empty
			return errRenew
		default:
		}
		if now, next = next, now.empty(); len(now.msgs) == 0 {
			if err := s.fill(&now, seq, limit, batches); err != nil {
				return err
			}
		}
		// After the batch is filled: an event of the first look is seen with its time.
		if since := s.watchedSince(); since != "" && since != s.claimedSince {
			return errRenew
		}
		if len(now.msgs) == 0 {
			if over, err := s.idle(ctx, connected, renew); over {
				return err
			}
			continue
		}
		making := s.fillBeside(&now, &next, limit, batches)
		err := s.publish(ctx, &now)
		if err := <-making; err != nil {
			return err
		}
		switch {
		case err == nil:
			seq = now.last()
			if err := s.outbox.Stored(seq); err != nil {
				return err
			}
			limit = min(2*limit, batchRows)
			pause.Reset()
			s.succeeded(ctx)
		case outcomeOf(err) != refused:
			return err
		case len(now.msgs) > 1:
			limit = len(now.msgs) / 2 // what fits is stored, and the culprit is found and named
			next = next.empty()
		default:
			s.failed(ctx, err)
			next = next.empty()
			if retry.Sleep(ctx, pause.NextBackOff()) != nil {
				return nil
			}
		}
		if ctx.Err() != nil {
			return nil
		}
	}
}

// idle waits until there may be something to do, and reports that the relay is over
// if there will not be. A server that was away is asked at once, not with the next
// event: what it has lost has to be found again. The count of [session.reconnected]
// is what decides; connected only wakes.
func (s *session) idle(ctx context.Context, connected <-chan nats.Status, renew <-chan time.Time) (over bool, err error) {
	select {
	case <-s.outbox.Committed():
	case <-connected:
	case <-renew:
		return true, errRenew
	case err := <-s.doubted:
		return true, err
	case <-ctx.Done():
		return true, nil
	}
	return false, nil
}

// fillBeside makes the next batch while a full one is published: where there is more
// than a batch, the server need not wait for the next one. What it returns brings one
// error, or nil.
func (s *session) fillBeside(now, next *batch, limit int, batches bool) <-chan error {
	making := make(chan error, 1)
	if !now.full {
		making <- nil
		return making
	}
	go func() { making <- s.fill(next, now.last(), limit, batches) }()
	return making
}

// publish stores all events of a batch, or none. It finishes also if ctx ends meanwhile.
func (s *session) publish(ctx context.Context, b *batch) (err error) {
	ctx, span := s.tracer.Start(ctx, "publish", spanOptions(b.events)...)
	defer func() { spans.End(span, err) }()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestTimeout)
	defer cancel()
	began := time.Now()
	setFence(b.msgs[0], s.fence, claimSubject(s.stream.Prefix, s.app))
	defer s.conn.Hold(cancel)()
	// P3: while it is held no other connection can be made, so these looks are final.
	if s.reconnected() {
		return errReconnected
	}
	if !s.nc.IsConnected() {
		return errAway
	}
	q := s.conn.Ask()
	if len(b.msgs) == 1 {
		var ack *jetstream.PubAck
		if ack, err = s.js.PublishMsg(ctx, b.msgs[0]); err == nil && ack.Duplicate {
			err, s.remembered = errRemembered, b.events[0].ID
		}
	} else {
		_, err = jetstreamext.PublishMsgBatch(ctx, s.js, b.msgs, jetstreamext.BatchFlowControl{AckFirst: false})
	}
	s.metrics.batch(outcomeOf(err), time.Since(began))
	if errors.Is(err, context.Canceled) {
		return errAway // the connection is lost
	}
	if err != nil {
		return fmt.Errorf("publish %s and %d more: %w", b.events[0].ID, len(b.msgs)-1, s.explain(q, err))
	}
	s.acknowledged(b.events)
	return nil
}

// An outcome is what is known after a publish.
type outcome string

const (
	stored  outcome = "stored"
	refused outcome = "refused" // the server or the client said no: nothing was stored
	fenced  outcome = "fenced"  // nothing was stored: the newest claim is not the one expected
	unknown outcome = "unknown" // it may be stored, or may be stored later
)

// outcomeOf lists what proves that nothing was stored. All else is unknown, also
// that the server knows the id already: the stream has to be asked whether it
// still has that event.
func outcomeOf(err error) outcome {
	if err == nil {
		return stored
	}
	for _, e := range []error{nats.ErrMaxPayload, nats.ErrBadSubject, nats.ErrHeadersNotSupported} {
		if errors.Is(err, e) {
			return refused // by the client, before it was sent
		}
	}
	var api *jetstream.APIError
	if !errors.As(err, &api) {
		return unknown
	}
	switch api.ErrorCode {
	case jetstream.JSErrCodeStreamWrongLastSequence, codeWrongSequence:
		return fenced
	case codeIDOnItsWay: // an earlier one of ours
		return unknown
	case codeStoreFailed: // full is a refusal, but a disk's error says nothing
		if isFull(api) {
			return refused
		}
		return unknown
	}
	return refused
}

// isFull reports whether a store that failed has reached a limit of its stream.
func isFull(failed *jetstream.APIError) bool {
	return strings.Contains(failed.Description, "maximum")
}

// Unanswered reports whether an error of [Status] is that of a server that did
// not do what it was asked and did not refuse it either: it says nothing, has no
// JetStream, or its disk failed.
func Unanswered(err error) bool {
	if errors.Is(err, nats.ErrPermissionViolation) {
		return false
	}
	for _, e := range []error{context.DeadlineExceeded, nats.ErrTimeout, nats.ErrNoResponders, jetstream.ErrNoStreamResponse, jetstream.ErrJetStreamNotEnabled} {
		if errors.Is(err, e) {
			return true
		}
	}
	var api *jetstream.APIError
	return errors.As(err, &api) && api.ErrorCode == codeStoreFailed && outcomeOf(err) == unknown
}

// reason returns why a session ended: what failed because the connection is lost
// says nothing but that.
func (p *Publisher) reason(err error) error {
	if errors.Is(err, nats.ErrReconnectBufExceeded) || !p.conn.IsConnected() && Unanswered(err) {
		return errAway
	}
	return err
}
