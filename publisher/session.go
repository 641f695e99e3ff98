package publisher

import (
	"context"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// A session is one attempt to publish over one connection: it checks the stream,
// claims, recovers and relays. It ends at the first error, when the claim is to be
// renewed, or when the connection is lost. It is used by one goroutine.
type session struct {
	*Publisher
	legacy

	nc         *nats.Conn
	js         jetstream.JetStream
	reconnects uint64 // of the connection, when the session began
}

// A legacy is what a session knows from those before it in this process.
type legacy struct {
	term         uint64    // of the lease of this process, 0 if it has none
	fence        uint64    // stream sequence of this process's newest claim, 0 before the first
	claimedSince string    // WatchedSince of the newest claim
	sent         bool      // a claim, which was stored or may be
	replaced     uint64    // stream sequence of the claim that it found; 0 if there was none
	fits         bool      // the state with the stream, when they were compared last
	remembered   string    // id of the event that the server took for a duplicate
	created      time.Time // the stream, as the newest session found it
	warned       []string  // of the stream, by the newest session
}

// newSession returns a session over the connection that is used now.
func (p *Publisher) newSession(left legacy) (*session, error) {
	nc := p.conn.Client()
	reconnects := nc.Stats().Reconnects // before anything is asked
	js, err := p.conn.JetStream(jetstream.WithDefaultTimeout(requestTimeout))
	if err != nil {
		return nil, err
	}
	return &session{Publisher: p, legacy: left, nc: nc, js: js, reconnects: reconnects}, nil
}

// run returns when the session is over. After nil ctx is done.
func (s *session) run(ctx context.Context) error {
	have, warnings, err := s.stream.preflight(ctx, s.conn, s.js, s.app, s.fence)
	if err != nil {
		return err
	}
	s.warn(ctx, warnings)
	s.setBatches(have.AllowAtomicPublish)
	if err := s.lookForLoss(ctx); err != nil {
		return err
	}
	if err := s.claim(ctx); err != nil {
		return err
	}
	var renew <-chan time.Time
	if have.MaxAge > 0 {
		t := time.NewTimer(have.MaxAge / 2)
		defer t.Stop()
		renew = t.C
	}
	seq, err := s.recover(ctx)
	if err != nil {
		return err
	}
	if !s.fits {
		if err := s.recallWatch(ctx); err != nil {
			return err
		}
	}
	s.fits = true
	s.relaying(true)
	defer s.relaying(false)
	s.succeeded(ctx)
	s.recovery()
	return s.relay(ctx, seq, have.AllowAtomicPublish, renew)
}

// warn logs what the stream's settings may surprise with, when that changes.
func (s *session) warn(ctx context.Context, warnings []string) {
	for _, w := range warnings {
		if !slices.Contains(s.warned, w) {
			s.log.WarnContext(ctx, "stream has an unusual setting", "stream", s.stream.Name, "setting", w)
		}
	}
	s.warned = warnings
}

// reconnected reports whether the connection is not the one of this session any
// more. The server at its other end may have lost our newest events and kept our
// older claim. The fence would then accept the next event, and leave a gap.
func (s *session) reconnected() bool {
	return s.nc.Stats().Reconnects != s.reconnects || s.nc.IsClosed()
}
