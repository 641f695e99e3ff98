package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/cmd/roomnotify/form"
	"roomwatch/publisher/events"
	"roomwatch/publisher/streams"
)

// What the stream of roomnotify keeps, by subject, after its name and a dot:
//
//	held.<target>.<rule>                          notifications that a digest will tell
//	digest.<target>.<rule>                        the last held message of the digest that is being sent
//	waiting.<target>.<rule>                       what waits until the target is up again
//	dead.<target>.<rule>                          dead letters: what the target does not take
//	told.<target>.<rule>.<life>.<milestone>       the id of the event that crossed it
//	watch.<target>.<rule>.<app>                   that it was told that nobody watches the application
//	place.<target>                                its position in the stream of the events
//	parked.<target>                               messages of the event stream that are no events
//	reload, reloaded                              the newest `roomnotify reload`, and what came of it
//
// One stream instead of a KV bucket and two streams: what is written together
// then fails together, and a server needs one permission for each thing done.
const (
	heldPart, digestPart, waitingPart, deadPart, toldPart, watchPart, placePart, parkedPart = "held", "digest", "waiting", "dead", "told", "watch", "place", "parked"
)

// headerReason says why a notification waits or is dead, in one line.
const headerReason = "Roomnotify-Reason"

// askWait bounds each question to NATS.
const askWait = 5 * time.Second

// duplicateWindow is how long the stream drops what it has already: a handler
// that was killed between storing and acknowledging is back much sooner.
const duplicateWindow = 10 * time.Minute

// A store is the stream in which roomnotify keeps what it must not forget.
type store struct {
	js     jetstream.JetStream
	stream jetstream.Stream
	name   string // of the stream
	prefix string // of the subjects

	warnings []string // of its settings
}

type storeConfig struct {
	name     string // of the installation: prefix of subjects and durables, and, in capitals, the stream
	replicas int
	maxAge   time.Duration
	maxBytes int64 // 0: unlimited
}

func (c storeConfig) stream() string { return strings.ToUpper(c.name) }

func (c storeConfig) need() streams.Need {
	return streams.Need{
		Use: streams.Keep, Name: c.stream(), Variable: "ROOMNOTIFY_NAME", Made: "ROOMNOTIFY_STREAM", Prefix: c.name, Subjects: []string{c.name + ".>"},
	}
}

// wanted is the stream that roomnotify makes. When it is full it takes nothing
// more: what waits in it is not lost, and events wait in their own stream.
func (c storeConfig) wanted() jetstream.StreamConfig {
	config := jetstream.StreamConfig{
		Name: c.stream(), Subjects: []string{c.name + ".>"}, Description: "what roomnotify still has to send",
		Storage: jetstream.FileStorage, Replicas: c.replicas, MaxAge: c.maxAge, Duplicates: min(duplicateWindow, c.maxAge),
	}
	if c.maxBytes > 0 {
		config.MaxBytes, config.Discard = c.maxBytes, jetstream.DiscardNew
	}
	return config
}

// openStore returns the store, and makes its stream if it does not exist; one
// that exists is not changed. What asking again does not change is
// [streams.ErrUnfit] or [streams.ErrLimit].
func openStore(ctx context.Context, js jetstream.JetStream, c storeConfig, makeIt bool) (*store, error) {
	ctx, cancel := context.WithTimeout(ctx, askWait)
	defer cancel()
	s, err := js.Stream(ctx, c.stream())
	if errors.Is(err, jetstream.ErrStreamNotFound) && makeIt {
		s, err = js.CreateStream(ctx, c.wanted())
		var api *jetstream.APIError
		if err = c.need().Explain(err); errors.As(err, &api) && api.Code == 400 && !errors.Is(err, streams.ErrLimit) {
			return nil, fmt.Errorf("%w: %s cannot be made: %w; set ROOMNOTIFY_NAME to another name, or ROOMNOTIFY_STREAM_… to what NATS takes", streams.ErrUnfit, c.stream(), err)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("stream %s: %w", c.stream(), c.need().Explain(err))
	}
	warnings, err := c.need().Check(s.CachedInfo().Config, js.Conn().MaxPayload())
	if err != nil {
		return nil, err
	}
	return &store{js: js, stream: s, name: c.stream(), prefix: c.name, warnings: warnings}, nil
}

func (s *store) subject(parts ...string) string {
	return s.prefix + "." + strings.Join(parts, ".")
}

// A stored is a notification in the store.
type stored struct {
	seq     uint64
	subject string
	at      time.Time
	size    int
	reason  string
	n       form.Notification
}

// keep stores a notification on a subject: one that is told for the first time,
// or one that moves there from another message of the store (from: its sequence number; 0: none).
//
// The message id names this step alone. A step that is repeated, because a crash
// came between it and the acknowledgement of the event or the removal of the
// message it came from, finds its own message id: the server has stored it before,
// and stores it no second time. The same notification on the same subject by
// another step is another message. keep returns its sequence number.
func (s *store) keep(ctx context.Context, subject, reason string, n form.Notification, from uint64) (uint64, error) {
	body, err := json.Marshal(n)
	if err != nil {
		return 0, fmt.Errorf("keep notification %s: %w", n.ID, err)
	}
	m := nats.NewMsg(subject)
	m.Data = body
	m.Header.Set(nats.MsgIdHdr, fmt.Sprintf("%s %s %d", subject, n.ID, from))
	if reason != "" {
		m.Header.Set(headerReason, form.Clean(reason, 500))
	}
	ctx, cancel := context.WithTimeout(ctx, askWait)
	defer cancel()
	ack, err := s.js.PublishMsg(ctx, m, jetstream.WithExpectStream(s.name))
	if err != nil {
		return 0, fmt.Errorf("keep notification %s: %w", n.ID, err)
	}
	return ack.Sequence, nil
}

func (s *store) hold(ctx context.Context, n form.Notification, from uint64) error {
	_, err := s.keep(ctx, s.subject(heldPart, n.Target, n.Rule), "", n, from)
	return err
}

// wait keeps a notification until its target is up again, and returns its sequence number.
func (s *store) wait(ctx context.Context, n form.Notification, reason string, from uint64) (uint64, error) {
	return s.keep(ctx, s.subject(waitingPart, n.Target, n.Rule), reason, n, from)
}

// setAside makes a notification a dead letter.
func (s *store) setAside(ctx context.Context, n form.Notification, reason string, from uint64) error {
	_, err := s.keep(ctx, s.subject(deadPart, n.Target, n.Rule), reason, n, from)
	return err
}

// next returns the first notification on a subject at or after a sequence number of the
// stream; nil if there is none. A message that is none is skipped.
func (s *store) next(ctx context.Context, subject string, from uint64) (*stored, error) {
	for {
		ask, cancel := context.WithTimeout(ctx, askWait)
		m, err := s.stream.GetMsg(ask, max(from, 1), jetstream.WithGetMsgSubject(subject))
		cancel()
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", subject, err)
		}
		l := &stored{seq: m.Sequence, subject: m.Subject, at: m.Time, size: len(m.Data), reason: m.Header.Get(headerReason)}
		if err := json.Unmarshal(m.Data, &l.n); err == nil && (l.n.Event != nil || l.n.Digest != nil || l.n.Watch != nil) {
			return l, nil
		}
		from = m.Sequence + 1
	}
}

func (s *store) remove(ctx context.Context, l *stored) error {
	ctx, cancel := context.WithTimeout(ctx, askWait)
	defer cancel()
	if err := s.stream.DeleteMsg(ctx, l.seq); err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) {
		var api *jetstream.APIError
		if errors.As(err, &api) && api.ErrorCode == jetstream.JSErrCodeMessageNotFound {
			return nil // somebody else has
		}
		return fmt.Errorf("remove %s: %w", l.subject, err)
	}
	return nil
}

// drop removes what is on a subject up to a sequence number.
func (s *store) drop(ctx context.Context, subject string, last uint64) error {
	ctx, cancel := context.WithTimeout(ctx, askWait)
	defer cancel()
	if err := s.stream.Purge(ctx, jetstream.WithPurgeSubject(subject), jetstream.WithPurgeSequence(last+1)); err != nil {
		return fmt.Errorf("remove %s: %w", subject, err)
	}
	return nil
}

// boundary returns the last held message of the digest that was being sent; 0 if none was.
func (s *store) boundary(ctx context.Context, target, rule string) (uint64, error) {
	data, err := s.last(ctx, s.subject(digestPart, target, rule))
	if err != nil || data == "" {
		return 0, err
	}
	return strconv.ParseUint(data, 10, 64)
}

func (s *store) setBoundary(ctx context.Context, target, rule string, last uint64) error {
	ctx, cancel := context.WithTimeout(ctx, askWait)
	defer cancel()
	if _, err := s.js.Publish(ctx, s.subject(digestPart, target, rule), []byte(strconv.FormatUint(last, 10))); err != nil {
		return fmt.Errorf("begin digest: %w", err)
	}
	return nil
}

// last returns the newest message on a subject; empty if there is none.
func (s *store) last(ctx context.Context, subject string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, askWait)
	defer cancel()
	m, err := s.stream.GetLastMsgForSubject(ctx, subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read %s: %w", subject, err)
	}
	return string(m.Data), nil
}

// told notes that an event crosses a milestone, and reports whether it is the
// event that has to tell it: the first of this life of the room. The same event
// again is one that NATS delivers again, because nobody has said yet that it was told.
//
// It is forgotten with the age that the stream keeps. A life that lasts longer,
// and falls below a milestone and crosses it again, is reported once more.
func (s *store) told(ctx context.Context, target, rule string, e events.Event, milestone int64) (bool, error) {
	subject := s.subject(toldPart, target, rule, life(e), strconv.FormatInt(milestone, 10))
	ask, cancel := context.WithTimeout(ctx, askWait)
	defer cancel()
	_, err := s.js.Publish(ask, subject, []byte(e.ID), jetstream.WithExpectLastSequencePerSubject(0))
	if err == nil {
		return true, nil
	}
	var api *jetstream.APIError
	if !errors.As(err, &api) || api.ErrorCode != jetstream.JSErrCodeStreamWrongLastSequence {
		return false, fmt.Errorf("note milestone: %w", err)
	}
	by, err := s.last(ctx, subject)
	if err != nil {
		return false, err
	}
	return by == e.ID, nil
}

// life names a life of a room in a subject.
func life(e events.Event) string {
	r := e.Data.Room
	h := sha256.Sum256([]byte(strconv.Itoa(e.App()) + "\x00" + r.RoomID + "\x00" + strconv.FormatInt(r.CreateTime, 10)))
	return hex.EncodeToString(h[:12])
}
