package lease

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/publisher/natsconn"
	"roomwatch/publisher/streams"
)

const (
	// Bucket is the name of the key-value bucket.
	Bucket = "roomwatch"
	// keepKeys is how long the bucket keeps a key that nobody writes: announcements of
	// processes that are gone go by themselves. A lease that goes so is a lost one.
	keepKeys = 24 * time.Hour
)

var (
	// ErrDenied means that NATS does not let this process use the bucket, and will not
	// before somebody changes that.
	ErrDenied = errors.New("the bucket of the lease cannot be used")
	// errStale means that the value is not the one that was read.
	errStale = errors.New("somebody else has written it")
)

// A record is the value of a lease. Later builds add fields.
type record struct {
	Instance string `json:"instance"`
	Host     string `json:"host"`
	Version  string `json:"version"`
	Term     uint64 `json:"term"`
	Duration string `json:"duration"` // as Go writes it
	Since    string `json:"since"`    // the holder's clock; for people
	Beat     uint64 `json:"beat"`     // one more with each renewal
	Released bool   `json:"released,omitzero"`
}

// duration returns how long the lease has to be unchanged. One that nobody can read
// counts as the longest.
func (r record) duration() time.Duration {
	d, err := time.ParseDuration(r.Duration)
	if err != nil || d <= 0 || d > Longest {
		return Longest
	}
	return d
}

// A stored is a value with its revision; 0: there is none.
type stored[T any] struct {
	value    T
	key      string
	revision uint64
	removed  bool // revision is that of its removal
}

// A store is the bucket.
type store struct {
	conn     *natsconn.Conn
	app      int
	replicas int

	mu    sync.Mutex
	kv    jetstream.KeyValue
	over  *nats.Conn // which kv uses
	read  bool       // a read was answered once: what is refused later is a trouble of NATS
	wrote bool       // so was a write
}

func (s *store) leaseKey() string { return "lease." + strconv.Itoa(s.app) }

func (s *store) standbyKey(instance string) string {
	return "standby." + strconv.Itoa(s.app) + "." + instance
}

// bucket returns the bucket over the connection that is used now. It is made if it does
// not exist.
func (s *store) bucket(ctx context.Context) (jetstream.KeyValue, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if nc := s.conn.Client(); s.kv != nil && s.over == nc {
		return s.kv, nil
	}
	js, err := s.conn.JetStream()
	if err != nil {
		return nil, err
	}
	q := s.conn.Ask()
	kv, err := js.KeyValue(ctx, Bucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		q = s.conn.Ask()
		if _, err = js.CreateStream(ctx, s.wanted()); err == nil {
			kv, err = js.KeyValue(ctx, Bucket)
		}
	}
	if err != nil {
		err = need().Explain(q.Denied(err))
		if limit := errors.Is(err, streams.ErrLimit) && !streams.MayPass(err); !s.read && (limit || errors.Is(err, nats.ErrPermissionViolation)) {
			err = fmt.Errorf("%w: %w", ErrDenied, err)
		}
		return nil, err
	}
	s.kv, s.over = kv, js.Conn()
	return kv, nil
}

// wanted is the bucket as the client library makes one. That one asks about the account
// first, which takes a permission more.
func (s *store) wanted() jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: "KV_" + Bucket, Description: "Which roomwatch is the writer, and who stands by", Subjects: []string{s.subject(">")},
		Storage: jetstream.FileStorage, Replicas: max(1, s.replicas), Discard: jetstream.DiscardNew,
		MaxMsgsPerSubject: 1, MaxMsgs: -1, MaxBytes: -1, MaxMsgSize: -1, MaxAge: keepKeys,
		AllowRollup: true, DenyDelete: true, AllowDirect: true,
	}
}

// lost forgets the bucket, which may have been removed.
func (s *store) lost() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kv = nil
}

func need() streams.Need {
	return streams.Need{Use: streams.Write, Name: "KV_" + Bucket, Variable: "ROOMWATCH_LEASE", Made: "ROOMWATCH_STREAM"}
}

// explain makes of an error what a caller decides by. What has been allowed once is a
// trouble of NATS later, whatever it says then.
func (s *store) explain(q natsconn.Question, err error, before *bool) error {
	err = need().Explain(q.Denied(err))
	s.mu.Lock()
	defer s.mu.Unlock()
	if errors.Is(err, nats.ErrPermissionViolation) && !*before {
		return fmt.Errorf("%w: %w", ErrDenied, err)
	}
	return err
}

// answered notes that something is allowed.
func (s *store) answered(what *bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*what = true
}

// write puts a value in the place of the one with a revision; 0: of none. The error is
// errStale if there is another one now.
func (s *store) write(ctx context.Context, key string, value any, revision uint64) (uint64, error) {
	if !s.conn.IsConnected() {
		return 0, nats.ErrDisconnected // not into the client's buffer, to be written when it is too late
	}
	body, err := json.Marshal(value)
	if err != nil {
		return 0, err // unreachable: strings and numbers
	}
	kv, err := s.bucket(ctx)
	if err != nil {
		return 0, err
	}
	q := s.conn.Ask()
	revision, err = kv.Update(ctx, key, body, revision)
	return revision, s.written(q, key, err)
}

// remove removes a value with a revision.
func (s *store) remove(ctx context.Context, key string, revision uint64) error {
	if !s.conn.IsConnected() {
		return nats.ErrDisconnected
	}
	kv, err := s.bucket(ctx)
	if err != nil {
		return err
	}
	q := s.conn.Ask()
	return s.written(q, key, kv.Delete(ctx, key, jetstream.LastRevision(revision)))
}

func (s *store) written(q natsconn.Question, key string, err error) error {
	var api *jetstream.APIError
	switch {
	case err == nil:
		s.answered(&s.wrote)
		return nil
	case errors.As(err, &api) && api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence:
		s.answered(&s.wrote)
		return errStale
	case errors.Is(err, nats.ErrNoResponders), errors.Is(err, jetstream.ErrNoStreamResponse), errors.As(err, &api) && api.ErrorCode == jetstream.JSErrCodeStreamNotFound:
		s.lost()
	}
	return fmt.Errorf("write %s: %w", key, s.explain(q, err, &s.wrote))
}

// lease returns the lease.
func (s *store) lease(ctx context.Context) (stored[record], error) {
	return read[record](ctx, s, s.leaseKey(), natsconn.LastOn(s.subject(s.leaseKey())))
}

// standby returns the announcement of a process.
func (s *store) standby(ctx context.Context, instance string) (stored[announcement], error) {
	key := s.standbyKey(instance)
	return read[announcement](ctx, s, key, natsconn.LastOn(s.subject(key)))
}

// nextStandby returns the first announcement after a revision.
func (s *store) nextStandby(ctx context.Context, after uint64) (stored[announcement], error) {
	key := s.standbyKey("*")
	return read[announcement](ctx, s, key, natsconn.FirstOn(s.subject(key), after+1))
}

func (s *store) subject(key string) string { return "$KV." + Bucket + "." + key }

// read asks the bucket's leader for a message.
func read[T any](ctx context.Context, s *store, key string, query natsconn.Which) (v stored[T], err error) {
	if !s.conn.IsConnected() {
		return v, nats.ErrDisconnected
	}
	if _, err := s.bucket(ctx); err != nil {
		return v, err
	}
	js, err := s.conn.JetStream()
	if err != nil {
		return v, err
	}
	q := s.conn.Ask()
	m, err := natsconn.FromLeader(ctx, js, "KV_"+Bucket, query)
	var refusal *jetstream.APIError
	if err != nil && !errors.As(err, &refusal) {
		return v, fmt.Errorf("read %s: %w", key, s.explain(q, err, &s.read))
	}
	s.answered(&s.read)
	switch {
	case refusal != nil:
		if refusal.ErrorCode == jetstream.JSErrCodeStreamNotFound {
			s.lost()
		}
		return v, fmt.Errorf("read %s: %w", key, need().Explain(refusal))
	case m == nil:
		return v, nil
	}
	v.key, v.revision = m.Subject[len(s.subject("")):], m.Seq
	// What cannot be read is somebody's value all the same: it counts as one without a name.
	v.removed = len(m.Data) == 0
	_ = json.Unmarshal(m.Data, &v.value)
	return v, nil
}
