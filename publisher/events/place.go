package events

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	trackEvery = 5 * time.Second // how often a subscriber notes its position
	noteEvery  = time.Minute     // the same while nothing happens
)

// A Position is how far a subscriber has come in a stream.
type Position struct {
	Made     time.Time `json:"made"`     // when the stream was made: one that was made anew begins again
	Sequence uint64    `json:"sequence"` // this message and all before it need no more work
	At       time.Time `json:"at"`       // when the subscriber was there
}

// A Place keeps the position of a subscriber where it outlives the durable.
type Place interface {
	// Load returns the zero Position if none was saved.
	Load(context.Context) (Position, error)
	// Save may be called again with a position that has only another time.
	Save(context.Context, Position) error
}

func (s *subscription) place() Position {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.position
}

// recall reads the position that an earlier subscriber has left, once.
func (s *subscription) recall(ctx context.Context) error {
	if s.o.Place == nil || !s.place().Made.IsZero() {
		return nil
	}
	p, err := s.o.Place.Load(ctx)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.position = p
	s.mu.Unlock()
	return nil
}

// resume says where a durable begins that was removed, perhaps with its stream:
// behind the position, or with the first message of a stream that was made anew.
// It tells of what is gone.
func (s *subscription) resume(ctx context.Context, stream *jetstream.StreamInfo) (start uint64, err error) {
	first, was := max(stream.State.FirstSeq, 1), s.place()
	if !stream.Created.Equal(was.Made) {
		s.o.Log.WarnContext(ctx, "stream was made anew: the events that were in it and not handled are gone", "stream", s.o.Stream, "durable", s.o.Durable, "handled", was.Sequence, "next", first)
		return first, s.drain(ctx)
	}
	start = was.Sequence + 1
	if start < first {
		s.o.Log.WarnContext(ctx, "durable was removed: messages behind its place are no longer in the stream", "stream", s.o.Stream, "durable", s.o.Durable, "handled", was.Sequence, "next", first, "gone", first-start)
		return first, nil
	}
	s.o.Log.WarnContext(ctx, "durable was removed: it is made anew where it was", "stream", s.o.Stream, "durable", s.o.Durable, "handled", was.Sequence)
	return start, nil
}

// drain waits until nothing is held of a stream that is gone: the numbers of its
// messages are those of others in the new one.
func (s *subscription) drain(ctx context.Context) error {
	s.mu.Lock()
	for seq, d := range s.held {
		if !d.queued {
			delete(s.held, seq)
		}
	}
	s.mu.Unlock()
	for s.holds() > 0 {
		select {
		case <-s.freed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// track notes how far the subscriber has come, until ctx is done and once more then.
func (s *subscription) track(ctx context.Context) {
	tick := time.NewTicker(trackEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			s.note(ctx)
		}
	}
}

// note asks NATS for the position, and saves it if it has changed. That NATS has
// not heard of the newest acknowledgements makes it an earlier one.
func (s *subscription) note(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, askWait)
	defer cancel()
	s.mu.Lock()
	made := s.made
	s.mu.Unlock()
	cons, err := s.js.Consumer(ctx, s.o.Stream, s.o.Durable)
	if err != nil || made.IsZero() {
		return // the reader of the events says what is wrong
	}
	info := cons.CachedInfo()
	now := Position{Made: made, Sequence: info.AckFloor.Stream, At: time.Now().UTC()}
	switch policy := info.Config.DeliverPolicy; {
	case policy == jetstream.DeliverByStartSequencePolicy:
		now.Sequence = max(now.Sequence, info.Config.OptStartSeq-1)
	case policy != jetstream.DeliverAllPolicy && now.Sequence == 0:
		return // where it began is known when something was handled
	}
	s.mu.Lock()
	before := s.position
	changed := !before.Made.Equal(made) || before.Sequence != now.Sequence
	if changed && before.Made.Equal(made) && before.Sequence > now.Sequence || made != s.made {
		s.mu.Unlock()
		return // the durable was made anew meanwhile
	}
	s.position = now
	s.mu.Unlock()
	if s.o.Place == nil || !changed && now.At.Sub(s.saved) < noteEvery {
		return
	}
	if err := s.o.Place.Save(ctx, now); err != nil {
		s.o.Log.InfoContext(ctx, "save the place", "durable", s.o.Durable, "error", err)
		return
	}
	s.saved = now.At
}
