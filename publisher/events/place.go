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
	Made     time.Time `json:"made"`     // when the stream was made: one that was recreated begins again
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

// A placeError says that the position cannot be read. What it wraps is about the
// [Place], and not about the stream of the events.
type placeError struct{ err error }

func (e *placeError) Error() string { return "read the position: " + e.err.Error() }
func (e *placeError) Unwrap() error { return e.err }

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
		return &placeError{err}
	}
	s.mu.Lock()
	s.position = p
	s.mu.Unlock()
	return nil
}

// resume says where a durable begins that was removed, perhaps with its stream:
// behind the position, or with the first message of a stream that was recreated.
// It tells of what is gone.
func (s *subscription) resume(ctx context.Context, stream *jetstream.StreamInfo) (start uint64) {
	first, was := max(stream.State.FirstSeq, 1), s.place()
	if !stream.Created.Equal(was.Made) || stream.State.LastSeq < was.Sequence {
		s.o.Log.WarnContext(ctx, "stream was recreated, or restored from an old copy: the events that were in it and not handled are gone", "stream", s.o.Stream, "durable", s.o.Durable, "handled", was.Sequence, "next", first)
		s.leave()
		return first
	}
	if start = was.Sequence + 1; start < first {
		// How many of them the durable would have delivered nobody knows any more.
		s.o.Log.WarnContext(ctx, "durable was removed: messages behind its position are no longer in the stream", "stream", s.o.Stream, "durable", s.o.Durable, "handled", was.Sequence, "next", first, "max_missing", first-start)
		return first
	}
	s.o.Log.WarnContext(ctx, "durable was removed: it is recreated where it was", "stream", s.o.Stream, "durable", s.o.Durable, "handled", was.Sequence)
	return start
}

func newOrigin() *origin { return &origin{gone: make(chan struct{})} }

// enter notes which stream is read from now on.
func (s *subscription) enter(made time.Time) {
	s.mu.Lock()
	was := s.made
	s.made = made
	s.mu.Unlock()
	if !was.IsZero() && !was.Equal(made) {
		s.leave()
	}
}

// leave notes that the stream is gone from which the deliveries are that are held.
// They are handled, before newer ones of their room, and not acknowledged: their
// numbers are those of other messages in the next stream. Nothing waits for them,
// for a handler may fail for long.
func (s *subscription) leave() {
	s.begin()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left += len(s.held)
	close(s.of.gone)
	s.of, s.held = newOrigin(), map[uint64]*delivery{}
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
	made, begun := s.made, s.begun
	s.mu.Unlock()
	if !begun {
		return // the position may be another's
	}
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
		return // the durable was recreated meanwhile
	}
	s.position = now
	s.mu.Unlock()
	if s.o.Place == nil || !changed && now.At.Sub(s.saved) < noteEvery {
		return
	}
	if err := s.o.Place.Save(ctx, now); err != nil {
		s.o.Log.InfoContext(ctx, "position not saved", "durable", s.o.Durable, "error", err)
		return
	}
	s.saved = now.At
}
