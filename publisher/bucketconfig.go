package publisher

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"

	"github.com/dustin/go-humanize/english"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"roomwatch/publisher/natsconn"
	"roomwatch/publisher/streams"
)

// filledFrom is the metadata of the bucket that says when the stream was made from
// which it is filled.
const filledFrom = "roomwatch.filled_from"

// A BucketConfig holds what a [Bucket] needs. All but Log and Metrics is required.
type BucketConfig struct {
	Name     string // of the bucket, such as live_rooms
	Conn     *natsconn.Conn
	Outbox   Outbox
	Stream   StreamConfig
	SDKAppID int

	Log     *slog.Logger          // nil discards
	Metrics prometheus.Registerer // nil registers none
}

// InspectBucket looks at the bucket without making or altering anything, and says in
// words what it found.
func InspectBucket(ctx context.Context, c BucketConfig) (string, error) {
	js, err := c.Conn.JetStream()
	if err != nil {
		return "", err
	}
	live, have, err := c.find(ctx, js)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound) && live != nil:
		return fmt.Sprintf("%s does not exist yet: the next start makes it", c.Name), nil
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return fmt.Sprintf("%s is made when stream %s exists", c.Name, c.Stream.Name), nil
	case err != nil:
		return "", err
	}
	return fmt.Sprintf("%s follows %s, %s", c.Name, c.Stream.Name, english.Plural(int(have.State.Msgs), "key", "")), nil
}

// find returns the stream of the events and that of the bucket. The error is
// [jetstream.ErrStreamNotFound] if one of them does not exist: the bucket's, if live
// is not nil.
func (c BucketConfig) find(ctx context.Context, js jetstream.JetStream) (live, have *jetstream.StreamInfo, err error) {
	info := func(name string) (*jetstream.StreamInfo, error) {
		q := c.Conn.Ask()
		s, err := js.Stream(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("look at stream %s for bucket %s: %w", name, c.Name, q.Denied(err))
		}
		return s.CachedInfo(), nil
	}
	if live, err = info(c.Stream.Name); err != nil {
		return nil, nil, err
	}
	if have, err = info(c.stream()); err != nil {
		return live, nil, err
	}
	return live, have, c.fits(have.Config)
}

// make has NATS make the stream of the bucket, as old and as safe as that of the
// events. Its revisions begin with first; 0: with 1.
func (c BucketConfig) make(ctx context.Context, js jetstream.JetStream, live *jetstream.StreamInfo, first uint64) (*jetstream.StreamInfo, error) {
	q := c.Conn.Ask()
	s, err := js.CreateStream(ctx, jetstream.StreamConfig{
		Name:              c.stream(),
		Description:       "The newest event of each room in " + c.Stream.Name + ", by roomwatch",
		Storage:           jetstream.FileStorage,
		Discard:           jetstream.DiscardOld,
		FirstSeq:          first,
		MaxMsgsPerSubject: 1,
		MaxBytes:          -1,
		MaxAge:            live.Config.MaxAge,
		Replicas:          live.Config.Replicas,
		DenyDelete:        true,
		AllowDirect:       true,
		Sources:           c.sources(),
		Metadata:          map[string]string{filledFrom: stamp(live.Created)},
	})
	if err == nil {
		return s.CachedInfo(), nil
	}
	err = q.Denied(err)
	need := streams.Need{Use: streams.Write, Name: c.stream(), Variable: "ROOMWATCH_KV_BUCKET", Made: "ROOMWATCH_STREAM"}
	if err = need.Explain(err); !streams.MayPass(err) {
		return nil, fmt.Errorf("%w: bucket %s cannot be made: %w", ErrUnfit, c.Name, err)
	}
	return nil, fmt.Errorf("make bucket %s: %w", c.Name, err)
}

// fits returns why a stream of the bucket's name is no bucket that follows the events.
func (c BucketConfig) fits(have jetstream.StreamConfig) error {
	reason := ""
	switch wanted := c.sources()[0]; {
	case len(have.Subjects) > 0:
		reason = "others can write to it: it has subjects of its own"
	case have.MaxMsgsPerSubject != 1:
		reason = fmt.Sprintf("it keeps %d values of a key, not 1", have.MaxMsgsPerSubject)
	case len(have.Sources) != 1 || have.Sources[0].Name != wanted.Name:
		reason = fmt.Sprintf("it is not filled from stream %s alone", wanted.Name)
	case !slices.Equal(have.Sources[0].SubjectTransforms, wanted.SubjectTransforms):
		reason = "its keys are not made of the subjects of " + c.Stream.Prefix + ".>"
	}
	if reason == "" {
		return nil
	}
	return fmt.Errorf("%w: bucket %s: %s; set ROOMWATCH_KV_BUCKET to another name, or remove it with `nats stream rm %s`, so that roomwatch makes it", ErrUnfit, c.Name, reason, c.stream())
}

// stream is the name of the stream that holds the bucket.
func (c BucketConfig) stream() string { return "KV_" + c.Name }

// sources makes the key of an event from the last two tokens of its subject. Claims have
// fewer tokens, and are left out.
func (c BucketConfig) sources() []*jetstream.StreamSource {
	return []*jetstream.StreamSource{{Name: c.Stream.Name, SubjectTransforms: []jetstream.SubjectTransformConfig{{
		Source:      c.Stream.Prefix + ".*.*.*.*",
		Destination: "$KV." + c.Name + ".{{wildcard(3)}}.{{wildcard(4)}}",
	}}}}
}

// BucketKey is the key of a room in the bucket.
func BucketKey(app int, roomID string) string { return strconv.Itoa(app) + "." + Token(roomID) }
