package events

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/publisher/recent"
)

// ErrShared means that another subscriber uses the durable at the same time.
// Each of them gets a part of the events then, and neither can keep the order.
var ErrShared = errors.New("another subscriber uses this durable")

// A Handler does the work for an event. After an error it gets the event again.
// A panic is an error, too.
type Handler func(ctx context.Context, e Event) error

// Subscribe hands events to a handler until ctx is done, and then returns nil,
// after the handlers that were at work have ended. It returns an error only for
// what waiting does not fix: wrong options, a stream that did not exist when it
// began, a durable that is used by another subscriber. A NATS server that is away
// is waited for; give the connection nats.MaxReconnects(-1). A durable or a stream
// that is removed later is waited for and recreated; see [Options.Place].
//
// Each event is handled at least once: it is acknowledged when the handler has
// returned nil. It is handled again only if the program died, or NATS was away,
// between the two. The events of a room are handled one after the other in the
// order of the stream, also when one fails: those behind it wait while other
// rooms continue. What NATS delivers late, because a delivery was lost or an
// earlier subscriber died with it, is waited for before anything newer is begun.
//
// One subscriber can use a durable at a time. One that comes while another is at
// work takes nothing from it, and returns [ErrShared] within some seconds, or within
// twice AckWait if the other has its hands full. An event of a type that this
// package does not know is ignored.
func Subscribe(ctx context.Context, js jetstream.JetStream, o Options, h Handler) error {
	o, err := o.withDefaults()
	if err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	work, stop := context.WithCancel(ctx)
	defer stop()
	s := &subscription{
		o: o, js: js, handle: h, work: work,
		of: newOrigin(), held: map[uint64]*delivery{}, rooms: map[string][]*delivery{}, done: recent.New[string, struct{}](o.Remember),
		slots: make(chan struct{}, o.Workers), freed: make(chan struct{}, 1),
	}
	handlers, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	s.handlers = handlers
	var keeping sync.WaitGroup
	keep, endKeeping := context.WithCancel(handlers)
	keeping.Go(func() { s.keep(keep) })
	keeping.Go(func() { s.track(keep) })

	err = s.read(work)
	stop()
	grace := time.AfterFunc(o.Grace, cancel)
	s.running.Wait()
	grace.Stop()
	endKeeping()
	keeping.Wait()
	s.giveBack(context.WithoutCancel(ctx))
	if s.js.Conn().Status() == nats.CONNECTED {
		s.saved = time.Time{} // with the time
		s.note(context.WithoutCancel(ctx))
	}
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("subscribe %s to stream %s: %w", o.Durable, o.Stream, err)
	}
	return nil
}

// A delivery is a message that is not acknowledged yet.
type delivery struct {
	of     *origin       // the stream that it is from
	first  jetstream.Msg // what it says; does not change
	msg    jetstream.Msg // what to acknowledge: the newest delivery of it; read under mu
	seq    uint64        // in the stream
	event  Event
	err    error // why it is no event
	queued bool
}

// An origin is a stream as it was made once. One that was recreated under the same
// name gives the same numbers to other messages.
type origin struct{ gone chan struct{} } // closed when the stream is

// A subscription is what one call of [Subscribe] knows.
type subscription struct {
	o      Options
	js     jetstream.JetStream
	handle Handler

	work     context.Context // done: nothing new is begun
	handlers context.Context // done: handlers should give up
	slots    chan struct{}   // one element for each handler at work
	freed    chan struct{}   // something is no longer held
	running  sync.WaitGroup

	mu    sync.Mutex
	of    *origin
	held  map[uint64]*delivery          // all deliveries of it that are not finished, by their sequence number in the stream
	left  int                           // deliveries that are not finished and are of streams that are gone
	rooms map[string][]*delivery        // what is queued; a room that is in the map has a goroutine
	done  *recent.Map[string, struct{}] // ids of finished events

	begun    bool      // nobody else uses the durable, and Begin has returned
	made     time.Time // when the stream was made that is read; zero before it was opened
	position Position
	saved    time.Time // when Place was last told; with track alone
}

// take holds a delivery. One that is held already is not held twice.
func (s *subscription) take(msg jetstream.Msg, m *jetstream.MsgMetadata) {
	seq := m.Sequence.Stream
	s.mu.Lock()
	defer s.mu.Unlock()
	if d, ok := s.held[seq]; ok {
		d.msg = msg
		return
	}
	d := &delivery{of: s.of, first: msg, msg: msg, seq: seq}
	d.event, d.err = Decode(msg.Data())
	d.event.Stored = m.Timestamp
	s.held[seq] = d
}

// begin queues what is held and not queued yet, in the order of the stream.
func (s *subscription) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []*delivery
	for _, d := range s.held {
		if !d.queued {
			list = append(list, d)
		}
	}
	slices.SortFunc(list, func(a, b *delivery) int { return cmp.Compare(a.seq, b.seq) })
	for _, d := range list {
		s.queue(d)
	}
}

// beginOne queues what was just taken.
func (s *subscription) beginOne(seq uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d := s.held[seq]; d != nil && !d.queued {
		s.queue(d)
	}
}

// queue puts a delivery behind those of its room; mu is held.
func (s *subscription) queue(d *delivery) {
	d.queued = true
	room := roomOf(d.first.Subject())
	waiting, busy := s.rooms[room]
	s.rooms[room] = append(waiting, d)
	if !busy {
		s.running.Go(func() { s.serve(room) })
	}
}

// serve finishes the deliveries of a room, one after the other.
func (s *subscription) serve(room string) {
	for {
		s.mu.Lock()
		if len(s.rooms[room]) == 0 {
			delete(s.rooms, room)
			s.mu.Unlock()
			return
		}
		d := s.rooms[room][0]
		s.mu.Unlock()
		if !s.finish(d) {
			return // the end: what is still held is given back
		}
		s.mu.Lock()
		s.rooms[room] = s.rooms[room][1:]
		if d.of == s.of {
			delete(s.held, d.seq)
		} else {
			s.left--
		}
		s.mu.Unlock()
		select {
		case s.freed <- struct{}{}:
		default:
		}
	}
}

// keep tells NATS that what is held is being worked on.
func (s *subscription) keep(ctx context.Context) {
	tick := time.NewTicker(s.o.AckWait / 3)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, m := range s.unfinished() {
			_ = m.InProgress() // NATS delivers it again then, and it is known
		}
	}
}

// unfinished returns the messages that are held, in the order of the stream.
func (s *subscription) unfinished() []jetstream.Msg {
	s.mu.Lock()
	defer s.mu.Unlock()
	var seqs []uint64
	for seq := range s.held {
		seqs = append(seqs, seq)
	}
	slices.Sort(seqs)
	list := make([]jetstream.Msg, 0, len(seqs))
	for _, seq := range seqs {
		list = append(list, s.held[seq].msg)
	}
	return list
}

// holds returns how many deliveries of the stream are not finished, and how many
// of streams that are gone.
func (s *subscription) holds() (held, left int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.held), s.left
}

// giveBack lets the next subscriber have at once what was not finished, and
// waits until NATS has heard all that was said to it.
func (s *subscription) giveBack(ctx context.Context) {
	for _, m := range s.unfinished() {
		_ = m.Nak() // it is delivered again later
	}
	ctx, cancel := context.WithTimeout(ctx, askWait)
	defer cancel()
	if nc := s.js.Conn(); nc.Status() == nats.CONNECTED {
		_ = nc.FlushWithContext(ctx) // what is lost is delivered again
	}
}
