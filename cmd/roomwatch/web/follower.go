package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/diff"
	"roomwatch/publisher"
	"roomwatch/publisher/reader"
)

const (
	readAhead = 50 // messages that wait here for a slow reader
	// checkEvery is how often a stream that brings nothing is checked: one that
	// was recreated would bring nothing for long.
	checkEvery = 15 * time.Second
)

// A follower is one reader's way through the stream.
type follower struct {
	feed  *feed
	q     eventQuery
	items chan<- item

	at    position
	from  time.Time // where to begin while no message was sent; zero: behind at
	reset string    // why the id that the reader came with cannot be resumed
}

func newFollower(f *feed, q eventQuery, items chan<- item) *follower {
	r := &follower{feed: f, q: q, items: items}
	if q.resume != "" {
		at, err := parsePosition(q.resume)
		if err != nil {
			r.reset = err.Error()
		}
		r.at = at
		return r
	}
	if q.since > 0 {
		r.from = time.Now().Add(-q.since)
	}
	return r
}

// session reads the stream until something ends it: an error, or a sign that
// the stream is not the one it was. It never returns nil.
func (r *follower) session(ctx context.Context) error {
	conn := r.feed.c.Conn
	if err := conn.Connect(ctx); err != nil { // NATS can end one permanently
		return err
	}
	if !conn.IsConnected() {
		return errAway
	}
	js, err := conn.JetStream(jetstream.WithDefaultTimeout(askTimeout))
	if err != nil {
		return err
	}
	if err := r.settle(ctx, js); err != nil {
		return err
	}
	reading, err := reader.Open(ctx, js, r.config())
	if err != nil {
		return fmt.Errorf("read stream %s: %w", r.feed.c.Stream, err)
	}
	defer reading.Close()
	// Only now is it sure that the consumer reads the stream that was looked at.
	if err := r.same(ctx, js); err != nil {
		return err
	}
	for {
		msg, m, err := reading.Next(ctx, checkEvery)
		switch {
		case errors.Is(err, nats.ErrTimeout):
			err = r.same(ctx, js)
		case err == nil:
			err = r.take(ctx, msg, m.Sequence.Stream)
		}
		if err != nil {
			return err
		}
	}
}

// settle finds out where to read on, and tells the reader if that is not where
// it wanted to: whoever reads behind a reset should ask for the rooms anew, and
// misses nothing then.
func (r *follower) settle(ctx context.Context, js jetstream.JetStream) error {
	i, err := r.look(ctx, js)
	if err != nil {
		return err
	}
	if !r.from.IsZero() {
		r.at = position{made: i.Created}
		return nil
	}
	now := position{made: i.Created, seq: i.State.LastSeq}
	if r.reset == "" && r.at.made.IsZero() {
		r.at = now
		return nil
	}
	if r.reset == "" {
		r.reset = r.at.lost(i)
	}
	if r.reset == "" {
		return nil
	}
	if err := r.send(ctx, item{now.String(), "reset", []byte(r.reset)}); err != nil {
		return err
	}
	r.at, r.reset = now, ""
	return nil
}

func (r *follower) look(ctx context.Context, js jetstream.JetStream) (*jetstream.StreamInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	s, err := js.Stream(ctx, r.feed.c.Stream)
	if err != nil {
		return nil, fmt.Errorf("inspect stream %s: %w", r.feed.c.Stream, err)
	}
	return s.CachedInfo(), nil
}

// same returns an error if the stream is not the one that the follower reads.
func (r *follower) same(ctx context.Context, js jetstream.JetStream) error {
	i, err := r.look(ctx, js)
	if err != nil {
		return err
	}
	if !r.at.made.Equal(i.Created) || r.at.seq > i.State.LastSeq {
		return reader.ErrMoved
	}
	return nil
}

func (r *follower) config() reader.Config {
	from := jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: r.at.seq + 1}
	if !r.from.IsZero() {
		from = jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverByStartTimePolicy, OptStartTime: &r.from}
	}
	types := r.q.types
	if len(types) == 0 {
		types = []diff.Type{""} // all
	}
	c := r.feed.c
	for _, t := range types {
		from.FilterSubjects = append(from.FilterSubjects, publisher.Filter(c.Prefix, t, c.SDKAppID, r.q.room))
	}
	return reader.Config{Stream: c.Stream, Consumer: from, Moved: true, Drop: true, Ahead: readAhead}
}

// take passes a message on.
func (r *follower) take(ctx context.Context, msg jetstream.Msg, seq uint64) error {
	at := position{made: r.at.made, seq: seq}
	if e, err := publisher.Decode(msg.Data()); err == nil && slices.Contains(diff.Types(), e.Type) {
		if err := r.send(ctx, item{at.String(), string(e.Type), oneLine(msg.Data())}); err != nil {
			return err
		}
	}
	r.at, r.from = at, time.Time{}
	return nil
}

func (r *follower) send(ctx context.Context, i item) error {
	select {
	case r.items <- i:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// oneLine takes the line ends out of JSON: in a server-sent event they part fields.
func oneLine(body []byte) []byte {
	if !bytes.ContainsAny(body, "\r\n") {
		return body
	}
	var b bytes.Buffer
	if err := json.Compact(&b, body); err != nil {
		return []byte("{}") // unreachable: it was decoded
	}
	return b.Bytes()
}
