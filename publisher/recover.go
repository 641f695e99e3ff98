package publisher

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/diff"
	"roomwatch/publisher/natsconn"
	"roomwatch/publisher/reader"
)

// rebuildWait is how long a rebuild waits for one more message of the stream.
const rebuildWait = 10 * time.Second

// gone means that the events went between two looks at the stream.
func (p *Publisher) gone() error {
	return fmt.Errorf("stream %s has no events any more", p.stream.Name)
}

// last returns the last message that matches a subject, or nil if there is none.
func (s *session) last(ctx context.Context, subject string) (*natsconn.Stored, error) {
	return s.message(ctx, "last", subject, natsconn.LastOn(subject))
}

// oldest returns the oldest one.
func (s *session) oldest(ctx context.Context, subject string) (*natsconn.Stored, error) {
	return s.message(ctx, "oldest", subject, natsconn.FirstOn(subject, 1))
}

// message asks the stream's leader: to another replica an event that is stored can be
// unknown, and then it would be stored again.
func (s *session) message(ctx context.Context, which, subject string, query natsconn.Which) (*natsconn.Stored, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	q := s.conn.Ask()
	m, err := natsconn.FromLeader(ctx, s.js, s.stream.Name, query)
	if err != nil {
		return nil, fmt.Errorf("read %s message on %s: %w", which, subject, s.explain(q, err))
	}
	return m, nil
}

// recover compares the stream with the outbox and returns the sequence number
// after which to continue. The claim must have been stored before.
//
//	the stream has none of this application's events   the state is believed
//	its last one is one of the outbox, or the last
//	that the outbox knew to be stored                  events up to it are stored
//	nothing of the epoch is stored, and the last one
//	is that after which a rebuild began the epoch      all of the epoch is to be sent
//	the outbox is empty, and what the stream has after
//	its place there goes on from what it knows         the events are taken over
//	anything else: the state was lost, is an old copy,
//	or the stream was cut or restored                  the state is rebuilt from
//	                                                   the stream, in a new epoch
//
// An event of the stream counts as ours only if the outbox has the same number with the
// same content.
//
// The server can remember the id of an event that the stream lacks: it was stored,
// its acknowledgement was lost, and then somebody removed it; or another copy of the
// state has given its number. Others may have read that event, so the number is not
// given again: what is to be sent begins a new epoch. A reader who had the removed
// event gets its content once more, under another id and with the same version.
func (s *session) recover(ctx context.Context) (uint64, error) {
	filter := Filter(s.stream.Prefix, "", s.app, "")
	m, err := s.last(ctx, filter)
	if err != nil {
		return 0, err
	}
	epoch, stored, assigned := s.outbox.Position()
	if m == nil {
		return s.goOn(ctx, stored)
	}
	e, err := s.decode(m.Subject, m.Data)
	if errors.Is(err, ErrUnfit) {
		return 0, err
	}
	if err != nil {
		return 0, fmt.Errorf("message %d on %s is no event of roomwatch: %w; remove it with `nats stream rmm %s %d`", m.Seq, m.Subject, err, s.stream.Name, m.Seq)
	}
	last, seq, err := splitID(e.ID)
	if err != nil {
		return 0, err // unreachable: Decode has split it
	}
	switch {
	case last == epoch && stored <= seq && seq <= assigned:
		ours, err := s.isOurs(e, seq, stored)
		if err != nil {
			return 0, err
		}
		if ours {
			if err := s.outbox.Stored(seq); err != nil {
				return 0, err
			}
			return s.goOn(ctx, seq)
		}
	case stored == 0 && e.ID == s.outbox.Follows():
		ours, err := s.isOurs(e, 0, 0)
		if err != nil {
			return 0, err
		}
		if ours {
			return s.goOn(ctx, 0)
		}
	}
	if seq, ok, err := s.catchUp(ctx, m, e); err != nil || ok {
		return seq, err
	}
	s.log.WarnContext(ctx, "state is rebuilt from the stream", "stream_has", e.ID, "state_stored", stored, "state_assigned", assigned, "state_epoch", epoch,
		"reason", "the state was lost or is an old copy, or the stream was cut or restored")
	s.metrics.rebuilds.Inc()
	s.fits = false
	since, err := s.toldSince(ctx, filter)
	if err != nil {
		return 0, err
	}
	if err := s.outbox.Rebuild(e, since, s.lastOfEachSubject(ctx, filter)); err != nil {
		return 0, err
	}
	_, stored, _ = s.outbox.Position()
	return stored, nil
}

// toldSince returns since when the stream tells of every room that began: the later
// of the claim's WatchedSince and the time of its oldest event, since what was told
// before that one may have expired. A claim of an older build says nothing; then the
// oldest event stands alone, and a room that began after that build's first look and
// before its first event, and was never told, counts as one that was live before.
func (s *session) toldSince(ctx context.Context, filter string) (time.Time, error) {
	m, err := s.oldest(ctx, filter)
	if err != nil {
		return time.Time{}, err
	}
	if m == nil {
		return time.Time{}, s.gone()
	}
	at := m.Time // of what is no event; not before the time of any that is gone
	if e, err := Decode(m.Data); err == nil {
		at = e.Time
	}
	if since, err := time.Parse(time.RFC3339, s.claimedSince); err == nil && since.After(at) {
		return since, nil
	}
	return at, nil
}

// decode returns the event in a message of the stream. One that is not on the
// subject of its own room was not put there by roomwatch, or by a build before
// the first release: then the error is [ErrUnfit], because to continue without those
// events is to announce their rooms again.
func (p *Publisher) decode(subject string, body []byte) (diff.Event, error) {
	e, err := Decode(body)
	if err != nil {
		return e, err
	}
	want := Subject(p.stream.Prefix, e.Type, p.app, e.Room.RoomID)
	switch subject {
	case want:
		return e, nil
	case unreleased(p.stream.Prefix, e.Type, p.app, e.Room.RoomID):
		return e, fmt.Errorf("event %s belongs on %s: %w", e.ID, want, p.stream.unreleasedError(subject, p.app))
	}
	return e, fmt.Errorf("event %s does not belong on %s", e.ID, subject)
}

// isOurs reports whether the outbox has the event under seq. An old copy of the
// state that ran while NATS was away, or after the stream was cut, has given
// numbers anew that the stream knows for other events.
//
// What this build knows of both is compared, not their bytes: the event can have
// been published by another build. One that is stored and that an earlier build has
// not kept is believed by its number.
func (p *Publisher) isOurs(e diff.Event, seq, stored uint64) (bool, error) {
	own, known, err := p.outbox.Event(seq)
	if err != nil || !known {
		return seq == stored, err
	}
	own.ID, own.Seq = e.ID, e.Seq
	return bytes.Equal(Encode(p.app, own), Encode(p.app, e)), nil
}

// goOn returns the number after which to continue, where events up to seq are stored.
func (s *session) goOn(ctx context.Context, seq uint64) (uint64, error) {
	epoch, _, _ := s.outbox.Position()
	next := epoch + "-" + diff.FormatSeq(seq+1)
	if s.remembered == next {
		s.log.WarnContext(ctx, "new epoch begun", "lost", next, "reason", "NATS has had an event with this id, and the stream lacks it: its last events were removed")
		if err := s.outbox.Renumber(); err != nil {
			return 0, err
		}
		seq = 0
	}
	s.remembered = ""
	return seq, nil
}

// lastOfEachSubject returns the last event of every subject, in the stream's
// order. Nobody adds to them meanwhile: this process is the writer.
func (s *session) lastOfEachSubject(ctx context.Context, filter string) iter.Seq2[diff.Event, error] {
	return func(yield func(diff.Event, error) bool) {
		q := s.conn.Ask()
		if err := s.eachLast(ctx, filter, func(e diff.Event) bool { return yield(e, nil) }); err != nil {
			yield(diff.Event{}, fmt.Errorf("read last events on %s: %w", filter, s.stream.need(s.app).Explain(q.Denied(err))))
		}
	}
}

func (s *session) eachLast(ctx context.Context, filter string, yield func(diff.Event) bool) error {
	reading, err := reader.Open(ctx, s.js, reader.Config{
		Stream:   s.stream.Name,
		Consumer: jetstream.OrderedConsumerConfig{FilterSubjects: []string{filter}, DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy},
	})
	if err != nil {
		return err
	}
	defer reading.Close()
	if info := reading.Info; info.NumPending == 0 && info.Delivered.Consumer == 0 {
		return s.gone()
	}
	for left := uint64(1); left > 0; {
		msg, meta, err := reading.Next(ctx, rebuildWait)
		if err != nil {
			return err
		}
		left = meta.NumPending
		e, err := s.decode(msg.Subject(), msg.Data())
		if errors.Is(err, ErrUnfit) {
			return err
		}
		if err != nil {
			s.log.WarnContext(ctx, "event skipped", "subject", msg.Subject(), "stream_sequence", meta.Sequence.Stream, "error", err)
			continue
		}
		if !yield(e) {
			return nil
		}
	}
	return nil
}
