package publisher

import (
	"fmt"

	"github.com/nats-io/nats.go"

	"roomwatch/diff"
)

const (
	batchRows  = 1000    // the server's limit for an atomic batch
	batchBytes = 1 << 20 // bodies in one batch: it is held in the server's memory until its commit
)

// A batch is events on their way into the stream, with their messages.
type batch struct {
	events []diff.Event
	msgs   []*nats.Msg
	bodies []byte // of all messages, one after the other
	full   bool   // the outbox may have more
}

// last returns the sequence number of the last event.
func (b *batch) last() uint64 { return b.events[len(b.events)-1].Seq }

// empty returns a batch without events that uses the memory of b again.
func (b *batch) empty() batch {
	return batch{msgs: b.msgs[:0], bodies: b.bodies[:0]}
}

// fill makes the batch of the first events after seq, as many as it takes. It is
// a batch of one if there are to be no batches.
func (p *Publisher) fill(b *batch, seq uint64, limit int, batches bool) error {
	if !batches {
		limit = 1
	}
	events, err := p.outbox.Events(seq, limit)
	if err != nil || len(events) == 0 {
		return err
	}
	if events[0].Seq != seq+1 {
		return fmt.Errorf("outbox: event %d follows %d", events[0].Seq, seq)
	}
	var ends []int // of the bodies: until the last is written, their place in memory can change
	for _, e := range events {
		bodies := appendEvent(b.bodies, p.app, e)
		if len(bodies) > batchBytes && len(ends) > 0 {
			break
		}
		b.bodies = bodies
		ends = append(ends, len(bodies))
	}
	b.full = batches && (len(ends) == limit || len(ends) < len(events))
	b.events = events[:len(ends)]
	begin := 0
	for i, e := range b.events {
		b.add(Subject(p.stream.Prefix, e.Type, p.app, e.Room.RoomID), e.ID, b.bodies[begin:ends[i]])
		begin = ends[i]
	}
	return nil
}

// add adds a message, if possible one that an earlier batch had here.
func (b *batch) add(subject, id string, body []byte) {
	n := len(b.msgs)
	if n == cap(b.msgs) || b.msgs[:n+1][n] == nil {
		b.msgs = append(b.msgs, message(subject, id, body))
		return
	}
	b.msgs = b.msgs[:n+1]
	m := b.msgs[n]
	clear(m.Header) // it has the place in the earlier batch
	*m = nats.Msg{Subject: subject, Header: m.Header, Data: body}
	setHeader(m, id)
}
