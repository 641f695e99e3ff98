package events

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	askWait    = 5 * time.Second // for each question to NATS
	fetchWait  = 5 * time.Second // for more events, before NATS is asked again
	settleWait = time.Second     // the same, while something is missing
	pauseFirst = 100 * time.Millisecond
	pauseMost  = 2 * time.Second
)

// errLost means that a delivery did not arrive.
var errLost = errors.New("a delivery was lost")

// read takes events from NATS until ctx is done or nothing mends what is wrong.
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
		if sleep(ctx, pause) {
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
		s.o.Log.ErrorContext(ctx, "place of the subscriber cannot be read: no events are read", "durable", s.o.Durable, "error", err, "fix", "see where the place is kept; it is tried again for ever")
	case errors.Is(err, jetstream.ErrStreamNotFound):
		s.o.Log.ErrorContext(ctx, "stream of the events was removed", "stream", s.o.Stream, "durable", s.o.Durable, "fix", "see that roomwatch runs, which makes it; it is waited for")
	default:
		s.o.Log.InfoContext(ctx, "read events", "durable", s.o.Durable, "error", err)
	}
}

// reopen looks whether the consumer is still there. One that was removed is made
// anew where it was.
func (s *subscription) reopen(ctx context.Context, cons jetstream.Consumer) (jetstream.Consumer, error) {
	if cons == nil {
		return s.open(ctx)
	}
	ask, cancel := context.WithTimeout(ctx, askWait)
	defer cancel()
	_, err := cons.Info(ask)
	if removed(err) {
		return s.open(ctx)
	}
	return cons, err
}

// removed reports whether a consumer or its stream is no longer there.
func removed(err error) bool {
	for _, e := range []error{jetstream.ErrStreamNotFound, jetstream.ErrConsumerNotFound, jetstream.ErrConsumerDeleted} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// final reports whether waiting does not mend an error.
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
		return s.made.IsZero() // else it was there, and is made anew
	}
	var refused *jetstream.APIError // such as a filter that NATS does not take
	return errors.As(err, &refused) && refused.Code == 400
}

// errUnfit means that the durable is there and cannot be used.
var errUnfit = errors.New("the durable is of another kind: choose another name, or delete it")

// open returns the durable consumer, and makes it if it does not exist. Where an
// existing one began is not changed.
func (s *subscription) open(ctx context.Context) (jetstream.Consumer, error) {
	ask, cancel := context.WithTimeout(ctx, askWait)
	defer cancel()
	if err := s.recall(ask); err != nil {
		return nil, err
	}
	want := jetstream.ConsumerConfig{Durable: s.o.Durable, AckPolicy: jetstream.AckExplicitPolicy}
	cons, err := s.js.Consumer(ask, s.o.Stream, s.o.Durable)
	if errors.Is(err, jetstream.ErrNotPullConsumer) {
		return nil, errUnfit
	}
	exists := err == nil
	if exists {
		want = cons.CachedInfo().Config
		if want.AckPolicy != jetstream.AckExplicitPolicy {
			return nil, errUnfit
		}
	} else if !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return nil, err
	} else if err := s.begins(ctx, &want); err != nil {
		return nil, err
	}
	have := want
	want.FilterSubject = ""
	want.FilterSubjects = Filters(s.o.Prefix, s.o.Types, s.o.App, s.o.Rooms)
	want.AckWait, want.MaxAckPending, want.MaxDeliver = s.o.AckWait, s.o.Pending, -1
	if !exists || !slices.Equal(filtersOf(have), want.FilterSubjects) || have.AckWait != want.AckWait ||
		have.MaxAckPending != want.MaxAckPending || have.MaxDeliver != want.MaxDeliver { // who may not make consumers may use one
		if cons, err = s.js.CreateOrUpdateConsumer(ask, s.o.Stream, want); err != nil {
			return nil, err
		}
	}
	return cons, s.learn(ask)
}

// learn notes which stream this is.
func (s *subscription) learn(ctx context.Context) error {
	stream, err := s.js.Stream(ctx, s.o.Stream)
	if err != nil {
		return err
	}
	s.enter(stream.CachedInfo().Created)
	return nil
}

// begins says where a durable begins that does not exist.
//
// Not with the policy "new": each node of a cluster would take it for the end of
// the stream as it knows it, so that one that becomes the leader before anything
// was delivered could pass events over.
func (s *subscription) begins(ctx context.Context, want *jetstream.ConsumerConfig) error {
	ask, cancel := context.WithTimeout(ctx, askWait)
	defer cancel()
	known := !s.place().Made.IsZero()
	if !known && !s.o.OnlyNew {
		if !s.o.From.IsZero() {
			want.DeliverPolicy, want.OptStartTime = jetstream.DeliverByStartTimePolicy, &s.o.From
		}
		return nil
	}
	stream, err := s.js.Stream(ask, s.o.Stream)
	if err != nil {
		return err
	}
	info := stream.CachedInfo()
	start := info.State.LastSeq + 1
	if known {
		start = s.resume(ctx, info)
	}
	want.DeliverPolicy, want.OptStartSeq = jetstream.DeliverByStartSequencePolicy, start
	s.mu.Lock()
	s.made = info.Created
	s.position = Position{Made: info.Created, Sequence: start - 1, At: time.Now().UTC()}
	s.mu.Unlock()
	return nil
}

func filtersOf(c jetstream.ConsumerConfig) []string {
	if c.FilterSubject != "" {
		return []string{c.FilterSubject}
	}
	return c.FilterSubjects
}

// session takes events while each delivery follows the one before. It never
// returns nil.
func (s *subscription) session(ctx context.Context, cons jetstream.Consumer) error {
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
	var began time.Time
	for {
		ask, cancel := context.WithTimeout(ctx, askWait)
		info, err := cons.Info(ask)
		cancel()
		if err != nil {
			return 0, err
		}
		held, left := s.holds()
		if info.NumAckPending <= held {
			s.begin()
			return info.Delivered.Consumer, nil
		}
		if began.IsZero() {
			began = time.Now()
			s.o.Log.InfoContext(ctx, "wait for events that were delivered before", "missing", info.NumAckPending-held)
		}
		if time.Since(began) > 3*s.o.AckWait {
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
