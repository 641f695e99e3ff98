package publisher

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/oklog/ulid/v2"
)

// ErrFenced means that another roomwatch has become the writer of the application.
var ErrFenced = errors.New("another roomwatch has taken over")

const claimType = "writer.claimed"

// A claim says who writes the events of an application from its place in the
// stream on.
type claim struct {
	Instance string `json:"instance"` // of one process
	Host     string `json:"host"`
	Version  string `json:"version"`
	// WatchedSince outlives the state file and the events: whoever loses the file
	// learns from it which rooms were live before. It is empty before the first look,
	// and in a claim of a build that did not know it.
	WatchedSince string `json:"watched_since,omitzero"`
	// Term is that of the lease which the writer holds: higher than that of any before
	// it. 0: it has no lease.
	Term uint64 `json:"term,omitzero"`
}

// A fencedError is [ErrFenced] with who has claimed.
type fencedError struct{ by Writer }

func (e *fencedError) Error() string {
	return fmt.Sprintf("%v: instance %s on host %s, since %s; one application has one writer: stop one of them",
		ErrFenced, e.by.Instance, e.by.Host, e.by.Since.Format(wireTime))
}

func (e *fencedError) Unwrap() error { return ErrFenced }

// FencedBy returns who has claimed, of an error that is [ErrFenced].
func FencedBy(err error) Writer {
	if e, ok := errors.AsType[*fencedError](err); ok {
		return e.by
	}
	return Writer{}
}

// claim makes this process the writer and keeps the claim's place in the stream
// as the fence of all its messages.
//
// A process takes over from whoever is the writer when it begins to publish, but with
// a lease never from one of a higher term: the lease has gone on to that one. Later it
// claims again only while the newest claim is its own or there is none; if it
// is another's, it returns [ErrFenced]. A first claim whose outcome is unknown
// counts: who has claimed after it is the later one.
//
// The claim is stored only if no other one came between the look at the newest
// and it, so two processes that start together cannot both believe themselves
// the writer. When it is stored, what this process still has on the way can do
// no harm:
//
//	event or batch with the old fence  refused: the newest claim is another one
//	claim whose outcome is unknown     refused for the same reason, or it is the
//	                                   one that was found and replaced just now
//
// So what the stream says after that about the last event is final.
//
// Until the state is known to fit the stream, the claim has the WatchedSince of the
// one before: a state that was lost, and recreated while NATS was away, has one of
// its own, which must not take the place of what a rebuild needs.
func (s *session) claim(ctx context.Context) error {
	subject := claimSubject(s.stream.Prefix, s.app)
	newest, by, err := s.newestClaim(ctx)
	if err != nil {
		return err
	}
	claimed := s.fence > 0 || s.sent && newest != s.replaced
	overtaken := s.term > 0 && by.Data.Term > s.term
	if (claimed || overtaken) && newest > 0 && by.Data.Instance != s.me.Instance {
		return &fencedError{claimant(by)}
	}
	me := s.me
	me.Term = s.term
	me.WatchedSince = by.Data.WatchedSince
	if since := s.watchedSince(); s.fits && since != "" {
		me.WatchedSince = since
	}
	s.claimedSince = me.WatchedSince
	id := ulid.Make().String()
	body, err := marshal(envelope[claim]{
		SpecVersion: "1.0", ID: id, Source: source(s.app), Type: claimType, Subject: s.me.Instance,
		Time: time.Now().UTC().Format(wireTime), DataContentType: "application/json",
		DataSchema: dataSchema(claimType), Data: me,
	})
	if err != nil {
		return fmt.Errorf("encode claim: %w", err)
	}
	msg := message(subject, id, body)
	setFence(msg, newest, subject)
	q := s.conn.Ask()
	ack, err := s.js.PublishMsg(ctx, msg)
	if o := outcomeOf(err); o == stored || o == unknown {
		s.sent, s.replaced = true, newest
	}
	if err != nil {
		return fmt.Errorf("claim %s: %w", subject, s.explain(q, err))
	}
	s.fence = ack.Sequence
	s.setFence(s.fence)
	s.setWriter(Writer{Instance: me.Instance, Host: me.Host, Version: me.Version, Term: me.Term, Since: time.Now()})
	s.metrics.claims.Inc()
	if newest > 0 && by.Data.Instance != s.me.Instance {
		s.metrics.tookOver(by.Data.Host, s.me.Host)
	}
	return nil
}

// watchedSince returns that of the outbox, as a claim has it.
func (p *Publisher) watchedSince() string {
	t := p.outbox.WatchedSince()
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(wireTime)
}

// newestClaim returns the newest claim and its place in the stream, 0 if there is none.
func (s *session) newestClaim(ctx context.Context) (uint64, envelope[claim], error) {
	var c envelope[claim]
	m, err := s.last(ctx, claimSubject(s.stream.Prefix, s.app))
	if err != nil || m == nil {
		return 0, c, err
	}
	if err := json.Unmarshal(m.Data, &c); err != nil {
		c.Data.Host = "unknown" // a claim that cannot be read is a claim all the same
	}
	s.setWriter(claimant(c))
	return m.Seq, c, nil
}

// claimant is who has stored a claim.
func claimant(c envelope[claim]) Writer {
	at, _ := time.Parse(time.RFC3339, c.Time) // zero if nobody can tell
	return Writer{Instance: c.Data.Instance, Host: c.Data.Host, Version: c.Data.Version, Term: c.Data.Term, Since: at}
}
