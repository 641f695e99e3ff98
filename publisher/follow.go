package publisher

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/diff"
	"roomwatch/diff/retry"
	"roomwatch/publisher/reader"
)

const (
	// followRows is how many events are taken over together, at most.
	followRows = 1000
	// followLinger is how long they wait for more: the writer of a busy application
	// stores some many times a second, and each take-over costs a sync of the disk.
	followLinger = 200 * time.Millisecond
)

// A Following is how far a standby has come.
type Following struct {
	Since    time.Time // since when it follows; zero if it does not
	CaughtUp bool      // it has taken over all that the stream had at some moment
	Behind   uint64    // messages of the stream that it has still to read, as of the newest look
	At       time.Time // of the newest event that it has taken over; zero before the first
}

// Follow keeps the outbox's rooms what the events in the stream say, while another
// roomwatch is the writer, until ctx is done. It stores nothing in the stream. NATS
// that is away, and a stream that does not exist yet, are no errors: it is tried again.
//
// Where the events do not go on from what the outbox knows (it is new, it has events
// that were never stored, the stream was recreated by a writer that knew nothing, or what
// is between has expired), it is rebuilt from the last event of each room.
func (p *Publisher) Follow(ctx context.Context) {
	p.mu.Lock()
	p.status.Following = Following{Since: time.Now()}
	select {
	case <-p.recovered:
		p.recovered = make(chan struct{}) // who still waits for the first one goes on to
	default:
	}
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		p.status.Following = Following{}
		p.mu.Unlock()
	}()
	pause := retry.BackOff(retryFirst, retryMost)
	for ctx.Err() == nil {
		if p.conn.IsClosed() {
			p.replace(ctx, pause.NextBackOff())
			continue
		}
		if !p.conn.IsConnected() {
			_ = retry.Sleep(ctx, awayLook)
			continue
		}
		began := time.Now()
		err := p.follow(ctx)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > retryMost {
			pause.Reset()
		}
		if err != nil && !errors.Is(err, reader.ErrMoved) {
			p.failed(ctx, p.reason(err))
		}
		_ = retry.Sleep(ctx, pause.NextBackOff())
	}
}

func (p *Publisher) follow(ctx context.Context) error {
	s, err := p.newSession(legacy{})
	if err != nil {
		return err
	}
	info, err := s.streamInfo(ctx)
	if err != nil {
		return err
	}
	if _, _, err := s.newestClaim(ctx); err != nil { // who the writer is, before all that it has written
		return err
	}
	if _, stored, assigned := p.outbox.Position(); stored != assigned {
		p.log.WarnContext(ctx, "waiting events dropped", "events", assigned-stored,
			"reason", "another roomwatch has become the writer before they were stored; it publishes what of them still shows")
	}
	at, ok, err := s.place(ctx, info)
	if err == nil && !ok {
		at, err = s.snapshot(ctx, info)
	}
	if err != nil {
		return err
	}
	err = s.readOn(ctx, at, 0, info.Created)
	if errors.Is(err, diff.ErrGap) {
		p.log.WarnContext(ctx, "state is rebuilt from the stream", "reason", "events between what is known and the stream are gone", "error", err)
		if at, err = s.snapshot(ctx, info); err != nil {
			return err
		}
		err = s.readOn(ctx, at, 0, info.Created)
	}
	return err
}

// place returns the place in the stream after which the outbox goes on, and false if it
// is to be rebuilt. A stream that was recreated under a writer lacks the rooms that did not
// change since, but the outbox knows them: the numbers of its events tell whether it lacks any.
func (s *session) place(ctx context.Context, info *jetstream.StreamInfo) (at uint64, ok bool, err error) {
	at, made := s.outbox.Followed()
	epoch, stored, assigned := s.outbox.Position()
	if at == 0 || stored != assigned {
		return 0, false, nil
	}
	if made.Equal(info.Created.UTC()) {
		return at, info.State.FirstSeq <= at+1 && at <= info.State.LastSeq, nil
	}
	m, err := s.last(ctx, Filter(s.stream.Prefix, "", s.app, ""))
	if err != nil || m == nil {
		return 0, false, err
	}
	last, err := s.decode(m.Subject, m.Data)
	if err != nil {
		return 0, false, fmt.Errorf("message %d on %s is no event of roomwatch: %w", m.Seq, m.Subject, err)
	}
	if stored == 0 { // since a rebuild
		epoch, _, _ = strings.Cut(s.outbox.Follows(), "-")
	}
	return 0, strings.HasPrefix(last.ID, epoch+"-"), nil
}

func (s *session) streamInfo(ctx context.Context) (*jetstream.StreamInfo, error) {
	q := s.conn.Ask()
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	stream, err := s.js.Stream(ctx, s.stream.Name)
	if err != nil {
		return nil, fmt.Errorf("look at stream %s: %w", s.stream.Name, s.explain(q, err))
	}
	return stream.CachedInfo(), nil
}

// readOn takes over what the stream has after a place, up to another one; 0: until ctx
// is done or something fails.
func (s *session) readOn(ctx context.Context, after, to uint64, made time.Time) error {
	claims := claimSubject(s.stream.Prefix, s.app)
	r, err := reader.Open(ctx, s.js, reader.Config{
		Stream: s.stream.Name, Moved: true,
		Consumer: jetstream.OrderedConsumerConfig{
			FilterSubjects: []string{Filter(s.stream.Prefix, "", s.app, ""), claims},
			DeliverPolicy:  jetstream.DeliverByStartSequencePolicy, OptStartSeq: after + 1,
		},
	})
	if err != nil {
		return err
	}
	defer r.Close()
	s.behind(r.Info.NumPending, time.Time{})
	if r.Info.NumPending == 0 && r.Info.Delivered.Consumer == 0 {
		s.succeeded(ctx)
		if to > 0 {
			return nil
		}
	}
	var b followed
	for {
		wait := time.Duration(0)
		switch {
		case b.at > 0:
			wait = followLinger
		case to > 0:
			wait = rebuildWait
		}
		msg, meta, err := r.Next(ctx, wait)
		if errors.Is(err, nats.ErrTimeout) && b.at == 0 {
			return fmt.Errorf("message %d does not come: %w", to, diff.ErrGap)
		}
		if errors.Is(err, nats.ErrTimeout) {
			if err := s.takeOver(ctx, &b, made); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		b.at, b.pending = meta.Sequence.Stream, meta.NumPending
		if err := s.collect(ctx, &b, msg, meta, claims); err != nil {
			return err
		}
		done := to > 0 && b.at >= to
		if len(b.events) >= followRows || done || b.pending == 0 && time.Since(b.taken) > followLinger {
			if err := s.takeOver(ctx, &b, made); err != nil {
				return err
			}
		}
		if done {
			return nil
		}
	}
}

// followed is what was read and not taken over yet.
type followed struct {
	events  []diff.Event
	at      uint64 // place of the newest message; 0: none waits
	pending uint64 // behind it
	taken   time.Time
}

// collect adds a message to what waits.
func (s *session) collect(ctx context.Context, b *followed, msg jetstream.Msg, meta *jetstream.MsgMetadata, claims string) error {
	if msg.Subject() == claims {
		var c envelope[claim]
		if err := json.Unmarshal(msg.Data(), &c); err != nil {
			c.Data.Host = "unknown"
		}
		if s.follows() {
			s.setWriter(claimant(c))
		}
		return nil
	}
	e, err := s.decode(msg.Subject(), msg.Data())
	switch {
	case errors.Is(err, ErrUnfit):
		return err
	case err != nil:
		s.log.WarnContext(ctx, "event skipped", "subject", msg.Subject(), "stream_sequence", meta.Sequence.Stream, "error", err)
	default:
		b.events = append(b.events, e)
	}
	return nil
}

// takeOver hands what waits to the outbox.
func (s *session) takeOver(ctx context.Context, b *followed, made time.Time) error {
	if err := s.outbox.Follow(b.events, b.at, made); err != nil {
		return err
	}
	var newest time.Time
	if n := len(b.events); n > 0 {
		newest = b.events[n-1].Time
	}
	s.behind(b.pending, newest)
	if b.pending == 0 {
		s.succeeded(ctx)
	}
	clear(b.events)
	b.events, b.at, b.taken = b.events[:0], 0, time.Now()
	return nil
}

// follows reports whether this process stands by: who claims then is not older than itself.
func (p *Publisher) follows() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.status.Following.Since.IsZero()
}

// behind notes how far a standby has come.
func (p *Publisher) behind(pending uint64, newest time.Time) {
	p.mu.Lock()
	f := &p.status.Following
	follows, first, since := !f.Since.IsZero(), pending == 0 && !f.CaughtUp, f.Since
	if follows { // else it is the last part, by the writer
		f.Behind = pending
		f.CaughtUp = f.CaughtUp || pending == 0
		if !newest.IsZero() {
			f.At = newest
		}
	}
	p.mu.Unlock()
	if follows && first {
		p.log.Info("standby has read the stream", "after", time.Since(since))
	}
}
