package publisher

import (
	"context"
	"encoding/json"
	"time"
)

// recallWatch lets the outbox know what the stream says of the watch before this
// process, before a page is compared: a state of long ago, or one that was rebuilt, does
// not know that another has watched since. What of it cannot be read says nothing.
func (s *session) recallWatch(ctx context.Context) error {
	alive, err := lastTold[aliveData](ctx, s, s.subjectOf(aliveType))
	if err != nil {
		return err
	}
	resumed, err := lastTold[resumedData](ctx, s, s.subjectOf(resumedType))
	if err != nil {
		return err
	}
	until, gapTo := parsed(alive.Data.Until), parsed(resumed.Data.To)
	if gapTo.After(until) {
		until = gapTo
	}
	if alive.Subject != s.me.Instance {
		s.mu.Lock()
		s.ranUntil = parsed(alive.Time)
		s.mu.Unlock()
	}
	return s.outbox.Watched(until, gapTo)
}

// lastTold returns the newest message on a subject, or an empty one if there is none that can be read.
func lastTold[T any](ctx context.Context, s *session, subject string) (e envelope[T], err error) {
	m, err := s.last(ctx, subject)
	if err != nil || m == nil {
		return e, err
	}
	if err := json.Unmarshal(m.Data, &e); err != nil {
		s.log.WarnContext(ctx, "message skipped", "subject", subject, "stream_sequence", m.Seq, "error", err)
		return envelope[T]{}, nil
	}
	return e, nil
}

// parsed returns a time of the stream, zero if there is none.
func parsed(text string) time.Time {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}
	}
	return t
}

// relaying notes whether this process is the writer, as far as it knows.
func (p *Publisher) relaying(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.status.Writing = on
	select {
	case <-p.doubted: //nolint:errcheck // of a session before
	default:
	}
}

// writer returns the fence of the writer that this process is.
func (p *Publisher) writer() (fence uint64, is bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.status.Fence, p.status.Writing && p.status.Fence > 0
}

// doubt ends the session if fence is still that of its claim: the server has refused it.
// The next session sees whether another has claimed, or the stream has let the claim go.
func (p *Publisher) doubt(fence uint64, err error) {
	if now, is := p.writer(); !is || now != fence {
		return
	}
	select {
	case p.doubted <- err:
	default: // it was told already
	}
}
