package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/cmd/roomwatch/config"
	"roomwatch/diff"
	"roomwatch/publisher"
	"roomwatch/publisher/natsconn"
	"roomwatch/publisher/reader"
	"roomwatch/publisher/streams"
)

// followPause is between two tries to continue.
const followPause = time.Second

// A tailer shows the events of a stream.
type tailer struct {
	conn *natsconn.Conn
	js   jetstream.JetStream
	cfg  *config.Config
	s    selection
	log  *slog.Logger
	show func([]byte, diff.Event) error

	begun bool
	at    uint64 // the last message of the stream that was shown or skipped
	alive time.Time
}

// A shownError is what the caller's function returned.
type shownError struct{ err error }

func (e shownError) Error() string { return e.err.Error() }

// follow shows the selected events of a stream, in order, until ctx is done. A
// message that is none of roomwatch's is skipped with a warning.
//
// It resumes where it was when NATS was away, however long. A JetStream that gives
// no answer for longer than patience, while NATS is there, ends it with an error.
func follow(ctx context.Context, conn *natsconn.Conn, cfg *config.Config, s selection, log *slog.Logger, patience time.Duration, show func([]byte, diff.Event) error) error {
	js, err := conn.JetStream()
	if err != nil {
		return err
	}
	t := &tailer{conn: conn, js: js, cfg: cfg, s: s, log: log, show: show}
	for {
		err := t.session(ctx)
		var shown shownError
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.As(err, &shown):
			return fmt.Errorf("print event: %w", shown.err)
		case !t.begun && errors.Is(err, jetstream.ErrStreamNotFound):
			return fmt.Errorf("follow stream %s: there is no such stream; start roomwatch, which makes it, or set ROOMWATCH_STREAM", cfg.Stream)
		case !t.begun, conn.IsClosed():
			return fmt.Errorf("follow stream %s: %w", cfg.Stream, streams.Reader(cfg.Stream, 0).Explain(err))
		case conn.IsConnected() && time.Since(t.alive) > patience:
			return fmt.Errorf("follow stream %s: no answer for %v: %w; see with `nats stream info %s` that the stream is there and has a leader",
				cfg.Stream, time.Since(t.alive).Round(time.Second), streams.Reader(cfg.Stream, 0).Explain(err), cfg.Stream)
		}
		log.InfoContext(ctx, "following the events is interrupted", "error", err)
		t.pause(ctx)
	}
}

// pause waits before the next try, and as long as NATS is away.
func (t *tailer) pause(ctx context.Context) {
	tick := time.NewTicker(followPause)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if t.conn.IsConnected() || t.conn.IsClosed() {
			return
		}
		t.alive = time.Now()
	}
}

// session shows events until something ends it. It never returns nil.
func (t *tailer) session(ctx context.Context) error {
	reading, err := reader.Open(ctx, t.js, reader.Config{Stream: t.cfg.Stream, Consumer: t.from()}) // what it cannot repair at once is for the next session
	if err != nil {
		return err
	}
	defer reading.Close()
	if !t.begun {
		t.begun, t.at = true, reading.Info.Delivered.Stream // the one before the first that it brings
	}
	t.alive = time.Now()
	for {
		msg, m, err := reading.Next(ctx, 0)
		if err != nil {
			return err
		}
		t.at, t.alive = m.Sequence.Stream, time.Now()
		e, err := publisher.Decode(msg.Data())
		if isWatch(t.typeOf(msg.Subject())) {
			e, err = diff.Event{Type: t.typeOf(msg.Subject())}, nil // no event of a room: its body tells all
		}
		if err != nil {
			t.log.WarnContext(ctx, "event skipped", "subject", msg.Subject(), "error", err)
			continue
		}
		if err := t.show(msg.Data(), e); err != nil {
			return shownError{err}
		}
	}
}

// typeOf returns the type that a subject names.
func (t *tailer) typeOf(subject string) diff.Type {
	tokens := strings.Split(strings.TrimPrefix(subject, t.cfg.SubjectPrefix+"."), ".")
	return diff.Type(strings.Join(tokens[:min(2, len(tokens))], "."))
}

func (t *tailer) from() jetstream.OrderedConsumerConfig {
	c := jetstream.OrderedConsumerConfig{FilterSubjects: t.s.filters(t.cfg), DeliverPolicy: jetstream.DeliverNewPolicy}
	switch {
	case t.begun:
		c.DeliverPolicy, c.OptStartSeq = jetstream.DeliverByStartSequencePolicy, t.at+1
	case t.s.since > 0:
		start := time.Now().Add(-time.Duration(t.s.since))
		c.DeliverPolicy, c.OptStartTime = jetstream.DeliverByStartTimePolicy, &start
	}
	return c
}
