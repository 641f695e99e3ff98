package events

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/diff/retry"
)

// The headers of a parked message, besides those it had.
const (
	HeaderReason   = "Roomwatch-Reason"   // the last error, in one line
	HeaderTries    = "Roomwatch-Tries"    // how often it was handled
	HeaderDurable  = "Roomwatch-Durable"  // who parked it
	HeaderStream   = "Roomwatch-Stream"   // where it is from
	HeaderSequence = "Roomwatch-Sequence" // its sequence number there
	HeaderSubject  = "Roomwatch-Subject"  // its subject there
)

// mostReason bounds the text of an error in a header.
const mostReason = 1000

// finish handles a delivery until it is done or parked, and acknowledges it. It
// reports false if the end came first.
//
// What a crash leaves behind, by the moment it comes:
//
//	before the handler has returned   the event is handled by the next subscriber
//	after it, before the ack          it is handled again
//	after parking, before the ack     it is parked again, with the same message
//	                                  id, which the stream of the parked drops
func (s *subscription) finish(d *delivery) bool {
	if d.err != nil && !errors.Is(d.err, ErrUnknownType) {
		return s.park(d, d.err, 0) // a retry does not fix it
	}
	pause := s.o.RetryMin
	for tries := 1; ; tries++ {
		ok, err := s.once(d)
		switch {
		case !ok:
			return false
		case err == nil:
			s.answer(d, jetstream.Msg.Ack)
			return true
		}
		s.o.Log.WarnContext(s.handlers, "handler failed", "id", d.event.ID, "tries", tries, "error", err)
		if s.o.Park != "" && tries >= s.o.Tries {
			return s.park(d, err, tries)
		}
		if retry.Sleep(s.work, pause) != nil {
			return false
		}
		pause = min(2*pause, s.o.RetryMax)
	}
}

// once waits for a turn and handles the event, unless it was handled before. It
// reports false if the end comes before the turn.
func (s *subscription) once(d *delivery) (ok bool, err error) {
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-s.work.Done():
		return false, nil
	}
	if s.work.Err() != nil {
		return false, nil
	}
	s.mu.Lock()
	_, known := s.done.Get(d.event.ID)
	s.mu.Unlock()
	if known || d.err != nil {
		return true, nil
	}
	return true, s.call(d.event)
}

// call returns the handler's error or panic.
func (s *subscription) call(e Event) (err error) {
	defer func() {
		if p := recover(); p != nil {
			s.o.Log.ErrorContext(s.handlers, "handler panicked", "id", e.ID, "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("handler panicked: %v", p)
		}
	}()
	return s.handle(s.handlers, e)
}

// answer remembers that a delivery is finished, and then says so to NATS. If
// NATS does not hear it, it delivers the event again, and it is known.
func (s *subscription) answer(d *delivery, say func(jetstream.Msg) error) {
	s.mu.Lock()
	defer s.mu.Unlock() // while it is said, so that it is not said of a message of the next stream
	if d.err == nil {
		s.done.Put(d.event.ID, struct{}{})
	}
	if d.of == s.of {
		_ = say(d.msg)
	}
}

// park stores a message that cannot be handled where somebody will look at it,
// and ends it only then. While it cannot be stored its room waits.
func (s *subscription) park(d *delivery, reason error, tries int) bool {
	if s.o.Park == "" {
		s.o.Log.ErrorContext(s.handlers, "message is no event", "sequence", d.seq, "error", reason, "fix", "set Park, or remove the message")
		select {
		case <-d.of.gone:
			return true // with its stream
		case <-s.work.Done():
			return false
		}
	}
	m := s.parked(d, reason, tries)
	pause := s.o.RetryMin
	for {
		err := s.publish(m)
		if err == nil {
			break
		}
		s.o.Log.ErrorContext(s.handlers, "event cannot be parked", "sequence", d.seq, "subject", s.o.Park, "error", err, "fix", "check that a stream has the subject and takes it")
		if retry.Sleep(s.work, pause) != nil {
			return false
		}
		pause = min(2*pause, s.o.RetryMax)
	}
	s.o.Log.ErrorContext(s.handlers, "parked event", "sequence", d.seq, "subject", s.o.Park, "tries", tries, "reason", reason)
	s.answer(d, func(m jetstream.Msg) error { return m.TermWithReason("parked on " + s.o.Park) })
	return true
}

// publish publishes a message. NATS does not answer what it does not allow: the
// reason comes by itself, as an error of the connection.
func (s *subscription) publish(m *nats.Msg) error {
	ctx, cancel := context.WithTimeout(s.handlers, askWait)
	defer cancel()
	_, err := s.js.PublishMsg(ctx, m)
	if last := s.js.Conn().LastError(); errors.Is(err, context.DeadlineExceeded) && errors.Is(last, nats.ErrPermissionViolation) {
		return fmt.Errorf("%w (%w); ask the account administrator to grant it", err, last)
	}
	return err
}

// parked is the message as it is parked: the body as it was, the reason beside
// it. The headers with which NATS was told to check its position would have it
// refused in another stream.
func (s *subscription) parked(d *delivery, reason error, tries int) *nats.Msg {
	m := nats.NewMsg(s.o.Park)
	m.Data = d.first.Data()
	for name, values := range d.first.Headers() {
		if !strings.HasPrefix(strings.ToLower(name), "nats-") {
			m.Header[name] = values
		}
	}
	seq := strconv.FormatUint(d.seq, 10)
	// A stream that is recreated has the same numbers again, at other times.
	m.Header.Set(nats.MsgIdHdr, fmt.Sprintf("parked-%s-%s-%s-%d", s.o.Durable, s.o.Stream, seq, d.event.Stored.UnixNano()))
	m.Header.Set(HeaderReason, oneLine(reason.Error()))
	m.Header.Set(HeaderTries, strconv.Itoa(tries))
	m.Header.Set(HeaderDurable, s.o.Durable)
	m.Header.Set(HeaderStream, s.o.Stream)
	m.Header.Set(HeaderSequence, seq)
	m.Header.Set(HeaderSubject, d.first.Subject())
	return m
}

// oneLine is a text as a header can hold it.
func oneLine(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > mostReason {
		text = text[:mostReason]
	}
	return strings.ToValidUTF8(text, "")
}

// roomOf is the part of a subject that names the application and the room.
func roomOf(subject string) string {
	tokens := strings.Split(subject, ".")
	return strings.Join(tokens[max(0, len(tokens)-2):], ".")
}
