package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sort"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/cmd/roomaudit/trail"
	"roomwatch/publisher/natsconn"
)

// place compares the trail with the stream, and records when it is not the one it was.
func (r *recorder) place(ctx context.Context) (jetstream.Stream, error) {
	look, cancel := context.WithTimeout(ctx, askWait)
	defer cancel()
	s, err := r.js.Stream(look, r.Stream)
	if err != nil {
		return nil, fmt.Errorf("inspect stream %s: %w", r.Stream, err)
	}
	info, at := s.CachedInfo(), r.trail.Position()
	if err := r.check(ctx, info.Config); err != nil {
		return nil, err
	}
	if last := info.State.LastSeq; last >= at.Last {
		r.status.waiting(last - at.Last)
	}
	next := trail.Position{Name: info.Config.Name, Created: info.Created.UTC()}
	if first := info.Config.FirstSeq; first > 0 {
		next.Last = first - 1 // a number before the first one was never given
	}
	reason := ""
	switch {
	case at.Name == "":
	case at.Name != next.Name || !at.Created.Equal(next.Created):
		reason = fmt.Sprintf("stream %s of %s is followed by stream %s of %s", at.Name, at.Created.Format(time.RFC3339), next.Name, next.Created.Format(time.RFC3339))
	default:
		if cut, err := r.cut(ctx, info.State.LastSeq); err != nil || !cut {
			return s, err
		}
		if next.Last, err = r.parting(ctx); err != nil {
			return nil, err
		}
		reason = fmt.Sprintf("the stream lost its newest messages, or an old copy of it was restored: it is what is on record up to %d, and %d is on record", next.Last, at.Last)
	}
	if reason != "" {
		r.log.WarnContext(ctx, "stream was recreated or restored", "reason", reason, "fix", "none is needed: it is on record")
		// How far it was acknowledged says nothing about what the stream has now.
		if err := r.js.DeleteConsumer(look, r.Stream, r.Durable); err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
			return nil, fmt.Errorf("consumer %s of stream %s: %w", r.Durable, r.Stream, err)
		}
	}
	if err := r.trail.Follow(next, time.Now(), reason); err != nil {
		return nil, fmt.Errorf("%w: %w", errDisk, err)
	}
	return s, nil
}

// check refuses a stream that cannot be recorded, and warns of one that loses
// messages of its own.
func (r *recorder) check(ctx context.Context, have jetstream.StreamConfig) error {
	warnings, err := r.need().Check(have, 0)
	for _, w := range warnings {
		if !slices.Contains(r.warned, w) {
			r.log.WarnContext(ctx, "stream has an unusual setting", "stream", r.Stream, "setting", w)
		}
	}
	r.warned = warnings
	return err
}

// cut reports whether the stream has lost messages that are on record other than
// by their age: it ends before the trail, or has given their numbers to others.
func (r *recorder) cut(ctx context.Context, last uint64) (bool, error) {
	newest := r.trail.Newest()
	if last < r.trail.Position().Last || newest.Seq == 0 {
		return last < r.trail.Position().Last, nil
	}
	m, err := r.next(ctx, newest.Seq)
	if err != nil {
		return false, fmt.Errorf("compare message %d of stream %s with the trail: %w", newest.Seq, r.Stream, err)
	}
	return m.Seq == newest.Seq && !m.Stored.Equal(newest.Stored), nil
}

// parting returns the last message that both the stream and the trail have, or 0.
// If they agree about a message, they do about all before it.
func (r *recorder) parting(ctx context.Context) (uint64, error) {
	last := uint64(0)
	err := r.trail.Marks(func(marks []trail.Mark) (bool, error) {
		var failed error
		sort.Search(len(marks), func(i int) bool {
			m, err := r.next(ctx, marks[i].Seq)
			if err != nil {
				failed = err
				return true
			}
			agree := slices.ContainsFunc(marks, func(k trail.Mark) bool { return k.Seq == m.Seq && k.Stored.Equal(m.Stored) })
			if agree {
				last = max(last, m.Seq)
			}
			return !agree
		})
		return last == 0, failed
	})
	if err != nil {
		return 0, fmt.Errorf("find where stream %s and the trail part: %w", r.Stream, err)
	}
	return last, nil
}

// The metadata of the consumer: which trail stands there, and which process on which
// host made it.
const (
	ownerKey   = "roomaudit.trail"
	hostKey    = "roomaudit.host"
	processKey = "roomaudit.process"
)

func hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return "unknown"
	}
	return name
}

// consumer returns the durable, at the place where the trail stands. One that
// keeps the place of another trail is not touched: each of the two would delete
// that of the other, and take it for a trail whose end is gone.
func (r *recorder) consumer(ctx context.Context, s jetstream.Stream) (jetstream.Consumer, error) {
	ctx, cancel := context.WithTimeout(ctx, askWait)
	defer cancel()
	failed := func(err error) error { return fmt.Errorf("consumer %s of stream %s: %w", r.Durable, r.Stream, err) }
	last := r.trail.Position().Last
	cons, err := r.js.Consumer(ctx, r.Stream, r.Durable)
	if err == nil {
		i := cons.CachedInfo()
		owner := i.Config.Metadata[ownerKey]
		if owner != "" && owner != r.trail.ID() {
			return nil, fmt.Errorf("%w: consumer %s of stream %s has the position of trail %s, which %s writes, and %s has trail %s; set another ROOMAUDIT_DURABLE. "+
				"If that trail is written no more, remove its consumer with `nats consumer rm %s %s`", errTaken, r.Durable, r.Stream, owner, i.Config.Metadata[hostKey], r.Dir, r.trail.ID(), r.Stream, r.Durable)
		}
		// A copy of a trail has its id. Where it is written, too, each of the two would
		// take the acknowledgements of the other for an end that is gone.
		if owner != "" && r.began && i.Created.After(r.made) && i.Config.Metadata[processKey] != r.process {
			return nil, fmt.Errorf("%w: consumer %s of stream %s was made by another process, on %s, which writes a copy of trail %s; stop one of the two, and let a copy only be read",
				errTaken, r.Durable, r.Stream, i.Config.Metadata[hostKey], owner)
		}
		if owner != "" && i.Delivered.Stream == last && i.NumAckPending == 0 && i.Config.AckPolicy == jetstream.AckAllPolicy && i.Config.AckWait == ackWait {
			r.made = i.Created
			return cons, nil
		}
		// A purge, and the age of messages, move the floor up to before the first
		// message; only acknowledgements move it further.
		if i.AckFloor.Stream > last && i.AckFloor.Stream >= s.CachedInfo().State.FirstSeq {
			if err := r.shortened(ctx, i.AckFloor.Stream); err != nil {
				return nil, err
			}
		}
		err = r.js.DeleteConsumer(ctx, r.Stream, r.Durable)
	}
	if err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return nil, failed(err)
	}
	cons, err = r.js.CreateConsumer(ctx, r.Stream, jetstream.ConsumerConfig{
		Durable: r.Durable, AckPolicy: jetstream.AckAllPolicy, AckWait: ackWait, MaxAckPending: mostPending, MaxDeliver: -1,
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: last + 1,
		Metadata: map[string]string{ownerKey: r.trail.ID(), hostKey: hostname(), processKey: r.process},
	})
	if err != nil {
		return nil, failed(err)
	}
	r.made = cons.CachedInfo().Created
	return cons, nil
}

// shortened records that more was acknowledged than is on record: the end of the
// trail was taken away, or somebody else acknowledged in its name. What the stream
// still has of it is read again.
func (r *recorder) shortened(ctx context.Context, acknowledged uint64) error {
	at := r.trail.Position()
	reason := fmt.Sprintf("message %d was acknowledged, and the trail ends at %d: its end was removed, or an old copy of it was restored, or another process has used consumer %s",
		acknowledged, at.Last, r.Durable)
	r.log.WarnContext(ctx, "end of the trail is missing", "reason", reason, "fix", "find out which of these it was; what the stream still has is read again, and this is on record")
	if err := r.trail.Follow(at, time.Now(), reason); err != nil {
		return fmt.Errorf("%w: %w", errDisk, err)
	}
	return nil
}

// next returns the first message from seq on that the stream has, or none. It
// asks the stream's leader: another replica may not have heard of the message yet,
// and a gap must not be recorded then.
func (r *recorder) next(ctx context.Context, seq uint64) (trail.Mark, error) {
	ctx, cancel := context.WithTimeout(ctx, askWait)
	defer cancel()
	m, err := natsconn.FromLeader(ctx, r.js, r.Stream, natsconn.FirstOn(">", seq))
	if m == nil || err != nil {
		return trail.Mark{}, err
	}
	return trail.Mark{Seq: m.Seq, Stored: m.Time}, nil
}
