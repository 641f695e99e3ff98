package publisher

import (
	"context"
	"time"

	"roomwatch/diff"
)

// lookForLoss tells that the stream was recreated after it had events of this
// application: what it had is gone for whoever reads it from its start. It is
// called before the claim of a session. Within a process a stream is known by
// when it was made. After a start only one that nobody has written to is known to
// be new; a limit or a purge leaves the number of the last message.
func (s *session) lookForLoss(ctx context.Context) error {
	q := s.conn.Ask()
	stream, err := s.js.Stream(ctx, s.stream.Name)
	if err != nil {
		return s.stream.lookError(q.Denied(err))
	}
	info := stream.CachedInfo()
	anew := info.State.LastSeq == 0
	if !s.created.IsZero() {
		anew = !info.Created.Equal(s.created)
	}
	s.created = info.Created
	lost := s.outbox.Follows() // where a rebuild was the last that the stream was needed for
	if epoch, stored, _ := s.outbox.Position(); stored > 0 {
		lost = epoch + "-" + diff.FormatSeq(stored)
	}
	if !anew || lost == "" {
		return nil
	}
	s.metrics.madeAnew.Inc()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status.MadeAnew = time.Now()
	s.log.ErrorContext(ctx, "stream recreated", "stream", s.stream.Name, "made", info.Created, "last_lost", lost,
		"fix", "find out who removed it; its events are not stored again: put them back from a backup under another name")
	return nil
}
