package events

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/diff/retry"
	"roomwatch/publisher/reader"
)

// checkEvery is how often a stream that brings nothing is checked: one that
// was recreated would bring nothing for long.
const checkEvery = 15 * time.Second

// A Step says what a [Change] is.
type Step int

// The steps of [Follow].
const (
	Begin  Step = iota + 1 // a list begins: forget what you know
	Listed                 // a room that is live; Event is the newest of it
	Ready                  // the list is complete
	News                   // Event is what happened next
)

func (s Step) String() string {
	return [...]string{"unknown", "begin", "listed", "ready", "news"}[max(0, min(s, News))]
}

// A Change is what [Follow] tells.
type Change struct {
	Step  Step
	Event Event // of Listed and News
}

// Follow tells which rooms are live now and then all that happens to rooms:
// Begin, Listed for each room, Ready, and News from there on, without a gap and
// without telling anything twice. Of o it uses Stream, Prefix, Types (of the
// news), App, Rooms and Log.
//
// It resumes where it was when NATS was away. Where that is impossible, because
// the stream was recreated or no longer has what came next, it begins again
// with Begin. Who died and comes back begins with the list, too; what must not be
// missed then is for [Subscribe].
//
// The newest event of a room that has not changed for longer than the stream
// keeps events is gone, and the room is not in the list.
//
// It calls tell from one goroutine. It returns nil when ctx is done, and the
// error of tell, or one that waiting does not fix.
func Follow(ctx context.Context, js jetstream.JetStream, o Options, tell func(Change) error) error {
	o = o.named()
	f := &follower{o: o, js: js, tell: tell, filters: Filters(o.Prefix, nil, o.App, o.Rooms)}
	pause := pauseFirst
	for ctx.Err() == nil {
		began := time.Now()
		err := f.session(ctx)
		var told toldError
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.As(err, &told):
			return told.err
		case errors.Is(err, jetstream.ErrStreamNotFound) && f.made.IsZero(), errors.Is(err, nats.ErrConnectionClosed):
			return fmt.Errorf("follow stream %s: %w", o.Stream, err)
		}
		o.Log.InfoContext(ctx, "following the events is interrupted", "error", err)
		if time.Since(began) > pauseMost {
			pause = pauseFirst
		}
		_ = retry.Sleep(ctx, pause)
		pause = min(2*pause, pauseMost)
	}
	return nil
}

// A toldError is what the caller's function returned.
type toldError struct{ err error }

func (e toldError) Error() string { return e.err.Error() }

// A follower is one call of [Follow].
type follower struct {
	o       Options
	js      jetstream.JetStream
	tell    func(Change) error
	filters []string

	made  time.Time // of the stream that is followed; zero: none yet
	at    uint64    // the last message that was told or skipped
	ready bool      // the list was told
}

func (f *follower) say(c Change) error {
	if err := f.tell(c); err != nil {
		return toldError{err}
	}
	return nil
}

// session follows the stream until something ends it. It never returns nil.
func (f *follower) session(ctx context.Context) error {
	i, err := f.look(ctx)
	if err != nil {
		return err
	}
	if !f.ready || !i.Created.Equal(f.made) || i.State.LastSeq < f.at || i.State.FirstSeq > f.at+1 {
		f.made, f.at, f.ready = i.Created, i.State.LastSeq, false
		return f.follow(ctx, jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy}, f.list)
	}
	return f.follow(ctx, jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: f.at + 1}, nil)
}

func (f *follower) look(ctx context.Context) (*jetstream.StreamInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, askWait)
	defer cancel()
	s, err := f.js.Stream(ctx, f.o.Stream)
	if err != nil {
		return nil, err
	}
	return s.CachedInfo(), nil
}

// same returns an error if the stream is not the one that is followed, and its
// info if it is.
func (f *follower) same(ctx context.Context) (*jetstream.StreamInfo, error) {
	i, err := f.look(ctx)
	if err == nil && (!i.Created.Equal(f.made) || i.State.LastSeq < f.at) {
		err = reader.ErrMoved
	}
	return i, err
}

// A reading is a consumer that brings each message after the one before.
type reading struct {
	*reader.Reader
	pending uint64 // messages that it has for us
	end     uint64 // the last message that the stream had after it was made
}

// follow reads with a consumer: first what list reads, then the news.
func (f *follower) follow(ctx context.Context, c jetstream.OrderedConsumerConfig, list func(context.Context, *reading) error) error {
	c.FilterSubjects = f.filters
	open, err := reader.Open(ctx, f.js, reader.Config{Stream: f.o.Stream, Consumer: c, Moved: true, Drop: true})
	if err != nil {
		return err
	}
	defer open.Close()
	// Only now is it sure that the consumer reads the stream that was looked at.
	stream, err := f.same(ctx)
	if err != nil {
		return err
	}
	r := &reading{open, open.Info.NumPending + open.Info.Delivered.Consumer, stream.State.LastSeq}
	if list != nil {
		if err := list(ctx, r); err != nil {
			return err
		}
	}
	for {
		msg, seq, err := f.next(ctx, r)
		if err != nil {
			return err
		}
		if msg == nil {
			continue
		}
		if err := f.news(ctx, msg, seq); err != nil {
			return err
		}
	}
}

// next returns the next message and its sequence number in the stream, or no message if
// none has come for long.
func (f *follower) next(ctx context.Context, r *reading) (jetstream.Msg, uint64, error) {
	msg, m, err := r.Next(ctx, checkEvery)
	if errors.Is(err, nats.ErrTimeout) {
		_, err := f.same(ctx)
		return nil, 0, err
	}
	if err != nil {
		return nil, 0, err
	}
	r.pending = m.NumPending
	return msg, m.Sequence.Stream, nil
}

// list tells which rooms are live. The consumer brings the last message of each
// subject and then all that came after it was made. The first are at an end when
// nothing is pending, or at a message behind r.end. What is pending counts
// the newest messages late, so it tells nothing of where the stream ends: what
// was read is the list, and all that is read after it is news.
func (f *follower) list(ctx context.Context, r *reading) error {
	type newest struct {
		seq   uint64
		event Event
	}
	rooms := map[string]newest{}
	var ahead jetstream.Msg
	var at uint64
	for r.pending > 0 {
		msg, seq, err := f.next(ctx, r)
		if err != nil {
			return err
		}
		if msg == nil {
			return reader.ErrMoved // what was to come has expired: begin again
		}
		if seq > r.end {
			ahead, at = msg, seq
			break
		}
		f.at = max(f.at, seq)
		e, err := Decode(msg.Data())
		if err != nil {
			f.skip(ctx, msg, err)
			continue
		}
		if room := roomOf(msg.Subject()); seq > rooms[room].seq {
			rooms[room] = newest{seq, e}
		}
	}
	if err := f.say(Change{Step: Begin}); err != nil {
		return err
	}
	for _, n := range slices.SortedFunc(maps.Values(rooms), func(a, b newest) int { return cmp.Compare(a.seq, b.seq) }) {
		if n.event.Type == RoomEnded {
			continue
		}
		if err := f.say(Change{Step: Listed, Event: n.event}); err != nil {
			return err
		}
	}
	f.ready = true
	if err := f.say(Change{Step: Ready}); err != nil {
		return err
	}
	if ahead != nil {
		return f.news(ctx, ahead, at)
	}
	return nil
}

func (f *follower) news(ctx context.Context, msg jetstream.Msg, seq uint64) error {
	if seq <= f.at {
		return nil // it is in the list
	}
	e, err := Decode(msg.Data())
	switch {
	case err != nil:
		f.skip(ctx, msg, err)
	case len(f.o.Types) == 0 || slices.Contains(f.o.Types, e.Type):
		if err := f.say(Change{Step: News, Event: e}); err != nil {
			return err
		}
	}
	f.at = seq
	return nil
}

func (f *follower) skip(ctx context.Context, msg jetstream.Msg, err error) {
	f.o.Log.WarnContext(ctx, "event skipped", "subject", msg.Subject(), "error", err)
}
