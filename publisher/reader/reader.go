// Package reader reads a stream in its order, for every program.
//
// The client library repairs an ordered consumer by itself: it recreates it when
// NATS was away, and heeds neither a context nor Stop meanwhile. So a [Reader]
// reads beside its caller, and keeps this law:
//
//	R1  [Reader.Close], and the end of a context, end it at once
//	R2  a consumer that cannot be recreated ends it with an error: nobody waits for
//	    messages that will never come
//	R3  a consumer that was recreated may be that of another stream of the same name.
//	    Who has to know that asks for [ErrMoved]
package reader

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/oklog/ulid/v2"
)

const (
	openWait = 5 * time.Second // for the consumer
	idle     = time.Minute     // after which the server drops a consumer that nobody has deleted
	dropWait = 100 * time.Millisecond
)

// ErrMoved means that the library has made the consumer anew.
var ErrMoved = errors.New("the stream or the way to it is not the one it was")

// A Config says what a [Reader] reads.
type Config struct {
	Stream   string
	Consumer jetstream.OrderedConsumerConfig // filters, and where it begins

	Resets int  // how often in a row the library may ask for its consumer anew; 0 means once
	Moved  bool // a consumer that was recreated ends the read with [ErrMoved]
	Drop   bool // the consumer is deleted at the end, which takes a permission
	Ahead  int  // messages that wait for a slow caller; 0 means as many as the library likes
}

// A Reader brings the messages of a consumer, one by one. It is used by one
// goroutine.
type Reader struct {
	Info *jetstream.ConsumerInfo // of the consumer, when it was made; nil for [Read]

	config   Config
	js       jetstream.JetStream
	arrivals <-chan arrival
	stop     context.CancelFunc
}

// An arrival is a message that was read, or why none was.
type arrival struct {
	msg jetstream.Msg
	err error
}

// Open makes a consumer and reads it until the first error, until ctx is done, or
// until Close, which is to be called.
func Open(ctx context.Context, js jetstream.JetStream, c Config) (*Reader, error) {
	name := ulid.Make().String()
	c.Consumer.NamePrefix, c.Consumer.InactiveThreshold, c.Consumer.MaxResetAttempts = name, idle, cmp.Or(c.Resets, 1)
	ask, cancel := context.WithTimeout(ctx, openWait)
	defer cancel()
	cons, err := js.OrderedConsumer(ask, c.Stream, c.Consumer)
	if err != nil {
		if c.Drop && ask.Err() != nil {
			dropUnanswered(ctx, js, c.Stream, name+"_1")
		}
		return nil, err
	}
	var opts []jetstream.PullMessagesOpt
	if c.Ahead > 0 {
		opts = append(opts, jetstream.PullMaxMessages(c.Ahead))
	}
	msgs, err := cons.Messages(opts...)
	if err != nil {
		return nil, err
	}
	r := Read(ctx, msgs)
	r.Info, r.config, r.js = cons.CachedInfo(), c, js
	return r, nil
}

// Read reads msgs in the same way; nothing is deleted at its end.
func Read(ctx context.Context, msgs jetstream.MessagesContext) *Reader {
	ctx, stop := context.WithCancel(ctx)
	c := make(chan arrival)
	go func() {
		defer close(c)
		defer msgs.Stop()
		for {
			msg, err := msgs.Next(jetstream.NextContext(ctx))
			select {
			case c <- arrival{msg, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	return &Reader{arrivals: c, stop: stop}
}

// Next returns the next message. It returns as soon as ctx is done, and waits no
// longer than atMost, if that is not 0: then the error is [nats.ErrTimeout], and
// alone of all errors not the end.
func (r *Reader) Next(ctx context.Context, atMost time.Duration) (jetstream.Msg, *jetstream.MsgMetadata, error) {
	var late <-chan time.Time
	if atMost > 0 {
		t := time.NewTimer(atMost)
		defer t.Stop()
		late = t.C
	}
	var a arrival
	var more bool
	select {
	case a, more = <-r.arrivals:
	case <-late:
		return nil, nil, fmt.Errorf("no message for %v: %w", atMost, nats.ErrTimeout)
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
	if !more {
		a.err = jetstream.ErrMsgIteratorClosed
	}
	if a.err != nil {
		return nil, nil, a.err
	}
	m, err := a.msg.Metadata()
	if err == nil && r.config.Moved && m.Consumer != r.Info.Name {
		err = ErrMoved
	}
	return a.msg, m, err
}

// Close ends the read.
func (r *Reader) Close() {
	r.stop()
	if !r.config.Drop {
		return
	}
	// The library would take the deletion of a consumer that it still reads for a
	// fault, and recreate it.
	r.wait()
	_ = drop(context.Background(), r.js, r.config.Stream, r.Info.Name) // it goes by itself later
}

// wait waits until nothing is read any more, for a while.
func (r *Reader) wait() {
	late := time.NewTimer(dropWait)
	defer late.Stop()
	for {
		select {
		case _, more := <-r.arrivals:
			if !more {
				return
			}
		case <-late.C:
			return
		}
	}
}

// drop deletes a consumer; otherwise the server would keep it for a while. A
// server that gives no answer is not waited for: it has heard of it.
func drop(ctx context.Context, js jetstream.JetStream, stream, name string) error {
	if !js.Conn().IsConnected() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, dropWait)
	defer cancel()
	return js.DeleteConsumer(ctx, stream, name)
}

// dropUnanswered deletes a consumer whose making was not answered. The server
// works on requests side by side, and may look for it before it has made it: it is
// asked until it had the consumer, or for some time, which is short when ctx is done.
func dropUnanswered(ctx context.Context, js jetstream.JetStream, stream, name string) {
	late := time.After(5 * dropWait)
	if ctx.Err() != nil {
		late = time.After(dropWait)
	}
	for errors.Is(drop(context.WithoutCancel(ctx), js, stream, name), jetstream.ErrConsumerNotFound) {
		select {
		case <-time.After(dropWait / 10):
		case <-late:
			return
		}
	}
}
