package publisher

import (
	"context"
	"errors"

	"roomwatch/diff"
	"roomwatch/publisher/natsconn"
)

// catchUp takes over the events up to e in m, the last one, which another writer has
// stored, and returns the number after which to continue. It reports false if they do not
// go on from what is known.
func (s *session) catchUp(ctx context.Context, m *natsconn.Stored, e diff.Event) (seq uint64, ok bool, err error) {
	info, err := s.streamInfo(ctx)
	if err != nil {
		return 0, false, err
	}
	at, made := s.outbox.Followed()
	_, stored, assigned := s.outbox.Position()
	if at == 0 || !made.Equal(info.Created.UTC()) || stored != assigned || m.Seq <= at || info.State.FirstSeq > at+1 {
		return 0, false, nil
	}
	if err := s.readOn(ctx, at, m.Seq, info.Created); err != nil {
		if errors.Is(err, diff.ErrGap) {
			s.log.InfoContext(ctx, "stream does not continue the state", "after", at, "error", err)
			return 0, false, nil
		}
		return 0, false, err
	}
	epoch, stored, _ := s.outbox.Position()
	if e.ID != epoch+"-"+diff.FormatSeq(stored) {
		return 0, false, nil
	}
	seq, err = s.goOn(ctx, stored)
	return seq, err == nil, err
}
