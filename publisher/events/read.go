package events

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/diff/retry"
)

const (
	askWait    = 5 * time.Second // for each question to NATS
	fetchWait  = 5 * time.Second // for more events, before NATS is asked again
	settleWait = time.Second     // the same, while something is missing
	lookPause  = 50 * time.Millisecond
	pauseFirst = 100 * time.Millisecond
	pauseMost  = 2 * time.Second
)

// errLost means that a delivery did not arrive.
var errLost = errors.New("a delivery was lost")

// read takes events from NATS until ctx is done or nothing fixes what is wrong.
func (s *subscription) read(ctx context.Context) error {
	cons, err := s.open(ctx)
	pause, told := pauseFirst, ""
	for ctx.Err() == nil {
		if err == nil {
			began := time.Now()
			err = s.session(ctx, cons)
			if errors.Is(err, errLost) || time.Since(began) > pauseMost {
				pause, told = pauseFirst, ""
			}
		}
		if ctx.Err() != nil || s.final(err) {
			return err
		}
		if text := fmt.Sprint(err); text != told {
			told = text
			s.report(ctx, err)
		}
		if retry.Sleep(ctx, pause) == nil {
			pause = min(2*pause, pauseMost)
			cons, err = s.reopen(ctx, cons)
		}
	}
	return nil
}

// report logs why no events are read.
func (s *subscription) report(ctx context.Context, err error) {
	var place *placeError
	switch {
	case errors.As(err, &place):
		s.o.Log.ErrorContext(ctx, "position of the subscriber cannot be read: no events are read", "durable", s.o.Durable, "error", err, "fix", "see where the position is kept; it is retried forever")
	case errors.Is(err, jetstream.ErrStreamNotFound):
		s.o.Log.ErrorContext(ctx, "event stream was removed", "stream", s.o.Stream, "durable", s.o.Durable, "fix", "check that roomwatch runs, which makes it; the subscriber waits for it")
	case !s.js.Conn().IsConnected(): // the client's own words for it are of its buffers
		s.o.Log.InfoContext(ctx, "reading events is interrupted", "durable", s.o.Durable, "error", "NATS is not connected")
	default:
		s.o.Log.InfoContext(ctx, "reading events is interrupted", "durable", s.o.Durable, "error", err)
	}
}

// final reports whether waiting does not fix an error.
func (s *subscription) final(err error) bool {
	for _, e := range []error{ErrShared, errUnfit, nats.ErrConnectionClosed, nats.ErrPermissionViolation} {
		if errors.Is(err, e) {
			return true
		}
	}
	var place *placeError
	if errors.As(err, &place) {
		return false
	}
	if removed(err) {
		return s.made.IsZero() // else it was there, and is recreated
	}
	var refused *jetstream.APIError // such as a filter that NATS does not take
	return errors.As(err, &refused) && refused.Code == 400
}

// session takes events while each delivery follows the one before. It never
// returns nil.
func (s *subscription) session(ctx context.Context, cons jetstream.Consumer) error {
	if !s.begun { // by this goroutine alone
		if err := s.alone(ctx, cons); err != nil {
			return err
		}
	}
	last, err := s.settle(ctx, cons)
	if err != nil {
		return err
	}
	for {
		free, err := s.room(ctx)
		if err != nil {
			return err
		}
		lost := false
		err = fetch(ctx, cons, free, fetchWait, func(msg jetstream.Msg, m *jetstream.MsgMetadata) {
			lost = lost || m.Sequence.Consumer != last+1
			last = m.Sequence.Consumer
			s.take(msg, m)
			if !lost {
				s.beginOne(m.Sequence.Stream)
			}
		})
		if lost {
			return errLost
		}
		if err != nil {
			return err
		}
	}
}

// alone looks whether another subscriber is at work, before anything is taken from
// it: one that waits for events has a request at NATS nearly always. Requests of
// one that is gone are dropped by NATS, or expire after fetchWait.
func (s *subscription) alone(ctx context.Context, cons jetstream.Consumer) error {
	began := time.Now()
	for free := 0; free < 2; {
		info, err := s.info(ctx, cons)
		switch {
		case err != nil:
			return err
		case info.NumWaiting == 0:
			free++ // once may be between two of its requests
		case time.Since(began) > fetchWait+settleWait:
			return fmt.Errorf("%w: it waits for events", ErrShared)
		default:
			free = 0
		}
		if retry.Sleep(ctx, lookPause) != nil {
			return ctx.Err()
		}
	}
	return nil
}

// start makes the durable as the options say, and tells the caller that it is ours
// alone, once.
func (s *subscription) start(ctx context.Context, cons jetstream.Consumer) error {
	if s.begun {
		return nil
	}
	if err := s.update(ctx, cons); err != nil {
		return err
	}
	if s.o.Begin != nil {
		s.o.Begin(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begun = ctx.Err() == nil
	return ctx.Err()
}

func (s *subscription) info(ctx context.Context, cons jetstream.Consumer) (*jetstream.ConsumerInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, askWait)
	defer cancel()
	return cons.Info(ctx)
}

// room waits until there is room for more events, and returns for how many.
func (s *subscription) room(ctx context.Context) (int, error) {
	for {
		held, left := s.holds()
		if free := s.o.Pending - held - left; free > 0 {
			return free, nil
		}
		select {
		case <-s.freed:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// settle collects what NATS has delivered to somebody and nobody has finished,
// so that nothing newer is begun before it, and returns the number of the last
// delivery. NATS delivers such events again when their time is up, and newer
// ones before them.
//
// Nothing is on the way while it asks how many are not acknowledged. What was
// finished before counts there until NATS has heard of it, so the number is
// never below that of the events held, and equal to it only if none is missing.
func (s *subscription) settle(ctx context.Context, cons jetstream.Consumer) (uint64, error) {
	// Who has just come gives up before who was at work already.
	patience := 2 * max(s.o.AckWait, cons.CachedInfo().Config.AckWait)
	if s.begun {
		patience = 3 * s.o.AckWait
	}
	var began time.Time
	for {
		info, err := s.info(ctx, cons)
		if err != nil {
			return 0, err
		}
		held, left := s.holds()
		if info.NumAckPending <= held {
			if err := s.start(ctx, cons); err != nil {
				return 0, err
			}
			s.begin()
			return info.Delivered.Consumer, nil
		}
		if began.IsZero() {
			began = time.Now()
			s.o.Log.InfoContext(ctx, "waiting for events that were delivered before", "missing", info.NumAckPending-held)
		}
		if time.Since(began) > patience {
			return 0, fmt.Errorf("%w: it holds %d events", ErrShared, info.NumAckPending-held)
		}
		free := max(1, s.o.Pending-held-left)
		err = fetch(ctx, cons, free, settleWait, s.take)
		if err != nil {
			return 0, err
		}
	}
}

// fetch takes up to n events that come within wait.
func fetch(ctx context.Context, cons jetstream.Consumer, n int, wait time.Duration, take func(jetstream.Msg, *jetstream.MsgMetadata)) error {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	batch, err := cons.Fetch(n, jetstream.FetchContext(ctx))
	if err != nil {
		return fmt.Errorf("fetch: %w", err)
	}
	for msg := range batch.Messages() {
		m, err := msg.Metadata()
		if err != nil {
			return fmt.Errorf("fetch: %w", err)
		}
		take(msg, m)
	}
	if err := batch.Error(); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("fetch: %w", err)
	}
	return nil
}
