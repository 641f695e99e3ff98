package publisher

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/diff"
	"roomwatch/publisher/reader"
)

// snapshot rebuilds the outbox from the last event of each room, beside a writer that may
// store more meanwhile, and returns the place in the stream that it stands for then.
//
// The consumer is made first and the stream's last event read then: so that event is in
// what the consumer brings, and up to it nothing is missing.
func (s *session) snapshot(ctx context.Context, info *jetstream.StreamInfo) (at uint64, err error) {
	filter := Filter(s.stream.Prefix, "", s.app, "")
	r, err := reader.Open(ctx, s.js, reader.Config{
		Stream: s.stream.Name, Moved: true,
		Consumer: jetstream.OrderedConsumerConfig{FilterSubjects: []string{filter}, DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy},
	})
	if err != nil {
		return 0, err
	}
	defer r.Close()
	m, err := s.last(ctx, filter)
	if err != nil {
		return 0, err
	}
	if m == nil {
		return info.State.LastSeq, s.forget(ctx, info)
	}
	last, err := s.decode(m.Subject, m.Data)
	if err != nil {
		return 0, fmt.Errorf("message %d on %s is no event of roomwatch: %w", m.Seq, m.Subject, err)
	}
	_, by, err := s.newestClaim(ctx)
	if err != nil {
		return 0, err
	}
	s.claimedSince = by.Data.WatchedSince
	since, err := s.toldSince(ctx, filter)
	if err != nil {
		return 0, err
	}
	s.log.InfoContext(ctx, "standby reads the stream", "stream", s.stream.Name, "to", m.Seq)
	s.metrics.rebuilds.Inc()
	if err := s.outbox.Rebuild(last, since, s.upTo(ctx, r, m.Seq)); err != nil {
		return 0, err
	}
	return m.Seq, s.outbox.Follow(nil, m.Seq, info.Created)
}

// forget lets go of events that the writer did not take over: the stream has none of this
// application. What is known besides them was stored once, and stays.
func (s *session) forget(ctx context.Context, info *jetstream.StreamInfo) error {
	if _, stored, assigned := s.outbox.Position(); stored != assigned {
		_, by, err := s.newestClaim(ctx)
		if err != nil {
			return err
		}
		since, _ := time.Parse(time.RFC3339, by.Data.WatchedSince) // zero: the next page is the first look
		if err := s.outbox.Rebuild(diff.Event{}, since, func(func(diff.Event, error) bool) {}); err != nil {
			return err
		}
	}
	return s.outbox.Follow(nil, info.State.LastSeq, info.Created)
}

// upTo returns the events that r brings, up to the one at a place in the stream.
func (s *session) upTo(ctx context.Context, r *reader.Reader, at uint64) iter.Seq2[diff.Event, error] {
	return func(yield func(diff.Event, error) bool) {
		for {
			msg, meta, err := r.Next(ctx, rebuildWait)
			if err != nil {
				yield(diff.Event{}, fmt.Errorf("read last events: %w", err))
				return
			}
			if meta.Sequence.Stream > at {
				return
			}
			e, err := s.decode(msg.Subject(), msg.Data())
			switch {
			case errors.Is(err, ErrUnfit):
				yield(e, err)
				return
			case err != nil:
				s.log.WarnContext(ctx, "event skipped", "subject", msg.Subject(), "stream_sequence", meta.Sequence.Stream, "error", err)
			case !yield(e, nil):
				return
			}
			if meta.Sequence.Stream == at {
				return
			}
		}
	}
}
