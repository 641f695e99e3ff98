package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/cmd/roomaudit/trail"
	"roomwatch/publisher/reader"
)

var (
	errDisk = errors.New("the trail cannot be written")
	// errReconnected ends a session: the server that is there again may not have
	// all that it had.
	errReconnected = errors.New("reconnected")
	errTaken       = errors.New("ROOMAUDIT_DURABLE is used by another trail")
	errLost        = errors.New("messages that the stream still has did not come: another process may use ROOMAUDIT_DURABLE")
)

// session reads the stream from where the trail stands. It never returns nil.
//
// The trail alone knows what is on record. The durable consumer is recreated
// where it stands elsewhere, so it is only the place where NATS shows how far we
// are. What is true after a crash:
//
//	before the sync           the lines are cut off, and the messages come again
//	between sync and ack      the messages come again, and the trail passes them over
func (r *recorder) session(ctx context.Context) error {
	reconnects := r.js.Conn().Stats().Reconnects // before anything is asked
	stream, err := r.place(ctx)
	if err != nil {
		return err
	}
	cons, err := r.consumer(ctx, stream)
	if err != nil {
		return err
	}
	r.began = true
	msgs, err := cons.Messages(jetstream.PullMaxMessages(2*batchRows), jetstream.PullHeartbeat(heartbeat))
	if err != nil {
		return fmt.Errorf("read stream %s: %w", r.Stream, err)
	}
	reading := reader.Read(ctx, msgs)
	defer reading.Close()
	for {
		batch, last, err := r.batch(ctx, reading)
		if err != nil {
			return fmt.Errorf("read stream %s: %w", r.Stream, err)
		}
		if r.js.Conn().Stats().Reconnects != reconnects {
			return errReconnected
		}
		if last == nil {
			if err := r.idle(ctx); err != nil {
				return err
			}
			r.condition(ctx, nil)
			continue
		}
		if err := r.complete(ctx, batch); err != nil {
			return err
		}
		if err := r.trail.Append(time.Now(), batch); err != nil {
			return fmt.Errorf("%w: %w", errDisk, err)
		}
		if err := last.Ack(); err != nil { // of all before it, too
			return fmt.Errorf("acknowledge: %w", err)
		}
		if m, err := last.Metadata(); err == nil {
			r.status.waiting(m.NumPending)
		}
		r.condition(ctx, nil)
	}
}

// batch returns the messages that are there, up to batchRows, and the last of
// them; none if none came for long.
func (r *recorder) batch(ctx context.Context, reading *reader.Reader) (batch []trail.Message, last jetstream.Msg, err error) {
	for len(batch) < batchRows {
		msg, m, err := reading.Next(ctx, idleWait)
		if errors.Is(err, nats.ErrTimeout) {
			break
		}
		if err != nil {
			return nil, nil, err
		}
		batch = append(batch, trail.Message{Seq: m.Sequence.Stream, Stored: m.Timestamp, Subject: msg.Subject(), Body: msg.Data()})
		last = msg
		if m.NumPending == 0 {
			break
		}
	}
	return batch, last, nil
}

// complete makes sure that what lacks before and in a batch is gone from the
// stream, and was not given to somebody else or lost on the way. Only then may
// the trail record it as gone.
func (r *recorder) complete(ctx context.Context, batch []trail.Message) error {
	want := r.trail.Position().Last + 1
	for _, m := range batch {
		if m.Seq > want {
			found, err := r.next(ctx, want)
			if err != nil {
				return fmt.Errorf("look for messages %d to %d: %w", want, m.Seq-1, err)
			}
			if found.Seq > 0 && found.Seq < m.Seq {
				return fmt.Errorf("%w: message %d", errLost, found.Seq)
			}
			r.log.WarnContext(ctx, "gap in the stream", "from", want, "to", m.Seq-1, "fix", "none: the stream no longer has them; let it keep messages for longer than roomaudit may be away")
		}
		want = max(want, m.Seq+1)
	}
	return nil
}
