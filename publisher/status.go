package publisher

import (
	"context"
	"maps"
	"time"

	"roomwatch/diff"
)

// A Status is what the publisher knows at a moment.
type Status struct {
	Connected      bool
	Fence          uint64    // stream sequence of the newest claim; 0 before the first
	Writing        bool      // this process is the writer, as far as it knows: its claim stands, and the stream was compared
	Batches        bool      // the stream takes batches; false before the first look at it
	LastError      error     // why events are not stored now; nil if they are
	LastErrorSince time.Time // since when
	Pulse          PulseStatus
	MadeAnew       time.Time // when the stream was found to be another one, without the events it had; zero: never

	Writer    Writer    // who has claimed last, as far as this process has heard; zero before
	Following Following // of a standby; zero if this process is none now

	Events map[diff.Type]uint64 // that the stream has acknowledged to this process

	// Of the outbox; Waiting is Assigned - Stored.
	Epoch            string
	Stored, Assigned uint64
	Waiting          uint64
	WaitingSince     time.Time // when the oldest event that waits was seen; zero if none does
}

// A Writer is who has claimed to be the writer of the application.
type Writer struct {
	Instance string // of one process
	Host     string
	Version  string
	Term     uint64 // of its lease; 0: it has none
	Since    time.Time
}

// Status may be called at any time.
func (p *Publisher) Status() Status {
	p.mu.Lock()
	s := p.status
	s.Events = maps.Clone(s.Events)
	p.mu.Unlock()
	s.Connected = p.conn.IsConnected()
	s.Epoch, s.Stored, s.Assigned = p.outbox.Position()
	if s.Assigned <= s.Stored {
		return s
	}
	s.Waiting = s.Assigned - s.Stored
	if events, err := p.outbox.Events(s.Stored, 1); err == nil && len(events) > 0 {
		s.WaitingSince = events[0].Time
	}
	return s
}

// acknowledged counts events that the stream has.
func (p *Publisher) acknowledged(events []diff.Event) {
	p.metrics.stored(events)
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range events {
		p.status.Events[e.Type]++
	}
}

func (p *Publisher) setBatches(available bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.status.Batches = available
}

func (p *Publisher) setFence(seq uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.status.Fence = seq
}

func (p *Publisher) setWriter(w Writer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.status.Writer = w
}

// failed notes that events cannot be stored; it logs the change, not each try.
func (p *Publisher) failed(ctx context.Context, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.status.LastError == nil {
		p.status.LastErrorSince = time.Now()
	}
	if p.status.LastError == nil || p.status.LastError.Error() != err.Error() {
		p.log.WarnContext(ctx, "publishing fails", "error", err, "since", p.status.LastErrorSince)
	}
	p.status.LastError = err
}

// succeeded notes that events can be stored.
func (p *Publisher) succeeded(ctx context.Context) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.status.LastError != nil {
		p.log.InfoContext(ctx, "publishing recovered", "after", time.Since(p.status.LastErrorSince))
	}
	p.status.LastError, p.status.LastErrorSince = nil, time.Time{}
}
