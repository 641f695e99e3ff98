package events

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// errUnfit means that the durable is there and cannot be used.
var errUnfit = errors.New("the durable is of another kind: choose another name, or delete it")

// open returns the durable consumer, and makes it if it does not exist. One that
// exists stays as it is: it may be another's.
func (s *subscription) open(ctx context.Context) (jetstream.Consumer, error) {
	ask, cancel := context.WithTimeout(ctx, askWait)
	defer cancel()
	if err := s.recall(ask); err != nil {
		return nil, err
	}
	cons, err := s.js.Consumer(ask, s.o.Stream, s.o.Durable)
	switch {
	case err == nil && cons.CachedInfo().Config.AckPolicy != jetstream.AckExplicitPolicy, errors.Is(err, jetstream.ErrNotPullConsumer):
		return nil, errUnfit
	case errors.Is(err, jetstream.ErrConsumerNotFound):
		want := s.wanted(jetstream.ConsumerConfig{Durable: s.o.Durable, AckPolicy: jetstream.AckExplicitPolicy})
		if err := s.begins(ctx, &want); err != nil {
			return nil, err
		}
		cons, err = s.js.CreateOrUpdateConsumer(ask, s.o.Stream, want)
	}
	if err != nil {
		return nil, err
	}
	return cons, s.learn(ask)
}

// wanted returns a configuration with what the options say. Where a durable began
// that exists is not changed.
func (s *subscription) wanted(c jetstream.ConsumerConfig) jetstream.ConsumerConfig {
	c.FilterSubject = ""
	c.FilterSubjects = Filters(s.o.Prefix, s.o.Types, s.o.App, s.o.Rooms)
	c.AckWait, c.MaxAckPending, c.MaxDeliver = s.o.AckWait, s.o.Pending, -1
	return c
}

// update gives a durable that is ours the configuration of the options. Who may
// not make consumers may use one that has it.
func (s *subscription) update(ctx context.Context, cons jetstream.Consumer) error {
	have := cons.CachedInfo().Config
	want := s.wanted(have)
	if slices.Equal(filtersOf(have), want.FilterSubjects) && have.AckWait == want.AckWait &&
		have.MaxAckPending == want.MaxAckPending && have.MaxDeliver == want.MaxDeliver {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, askWait)
	defer cancel()
	_, err := s.js.CreateOrUpdateConsumer(ctx, s.o.Stream, want)
	return err
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
