package publisher

import (
	"context"
	"time"

	"roomwatch/diff"
)

// lookForLoss tells that the stream was made anew after it had events of this
// application: what it had is gone for whoever reads it from its start. It is
// called before the claim of a session. Within a process a stream is known by
// when it was made. After a start only one that nobody has written to is known to
// be new; a limit or a purge leaves the number of the last message.
func (p *Publisher) lookForLoss(ctx context.Context) error {
	q := ask(p.Conn())
	s, err := p.js.Stream(ctx, p.stream.Name)
	if err != nil {
		return p.stream.lookError(q.denied(err))
	}
	info := s.CachedInfo()
	anew := info.State.LastSeq == 0
	if !p.created.IsZero() {
		anew = !info.Created.Equal(p.created)
	}
	p.created = info.Created
	lost := p.outbox.Follows() // where a rebuild was the last that the stream was needed for
	if epoch, stored, _ := p.outbox.Position(); stored > 0 {
		lost = epoch + "-" + diff.FormatSeq(stored)
	}
	if !anew || lost == "" {
		return nil
	}
	p.metrics.madeAnew.Inc()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.status.MadeAnew = time.Now()
	p.log.ErrorContext(ctx, "stream", "condition", "made anew", "stream", p.stream.Name, "made", info.Created, "lost_up_to", lost,
		"mend", "find out who removed it; its events are not stored again: put them back from a backup under another name")
	return nil
}
