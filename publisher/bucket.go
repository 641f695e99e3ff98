package publisher

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/dustin/go-humanize/english"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"roomwatch/diff/retry"
)

const (
	// bucketLook is how often the bucket is compared with the stream.
	bucketLook = time.Minute
	// refillEvery bounds how often a bucket is filled anew because it stands still.
	refillEvery = time.Hour
)

// errBehind means that the bucket lacks an event that the stream has.
var errBehind = errors.New("the bucket lacks the newest event")

// A Bucket is a key-value bucket with the newest event of each room, under the key
// <sdkappid>.<room>, the last two tokens of the event's subject.
//
// NATS itself fills it: the stream of the bucket has no subjects, and the stream of
// the events is its only source. So nobody can put into it, roomwatch included, and
// it is never in the way of an event. Bucket only makes it, looks that it keeps up,
// and fills it anew where NATS does not: a source continues after the last number
// that it has read, also in a stream that was recreated, and skips what that has below.
type Bucket struct {
	c        BucketConfig
	refills  prometheus.Counter
	behind   bool      // at the look before
	refilled time.Time // because it stood still

	mu     sync.Mutex
	status BucketStatus
}

// A BucketStatus is what is known of the bucket at a moment.
type BucketStatus struct {
	Name  string
	Error error     // why it cannot be relied on now; nil if it can, and before the first look
	Since time.Time // of Error
}

// NewBucket returns a Bucket. It does no I/O.
func NewBucket(c BucketConfig) *Bucket {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	b := &Bucket{c: c, status: BucketStatus{Name: c.Name}}
	f := promauto.With(c.Metrics)
	f.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "roomwatch", Subsystem: "bucket", Name: "failing",
		Help: "1 while the key-value bucket is not there or does not follow the stream. The log and the status say why."}, func() float64 {
		if b.Status().Error != nil {
			return 1
		}
		return 0
	})
	b.refills = f.NewCounter(prometheus.CounterOpts{Namespace: "roomwatch", Subsystem: "bucket", Name: "refills_total",
		Help: "Times that the key-value bucket was emptied and filled anew from the stream: the stream was recreated, or the bucket stood still."})
	return b
}

// Status may be called at any time.
func (b *Bucket) Status() BucketStatus {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.status
}

// Run makes the bucket and looks after it until ctx is done. NATS that is away, or
// that refuses, is no error: it is asked again. It returns [ErrUnfit] if the first
// look finds what only a person can change. Run is called once.
func (b *Bucket) Run(ctx context.Context) error {
	pause := retry.BackOff(time.Second, bucketLook)
	for first := true; ; {
		wait := bucketLook
		if b.c.Conn.IsConnected() {
			err := b.look(ctx)
			if ctx.Err() != nil {
				return nil
			}
			if first && errors.Is(err, ErrUnfit) {
				return err
			}
			if b.note(ctx, err); err == nil {
				first = false
				pause.Reset()
			} else {
				wait = pause.NextBackOff()
			}
		} else {
			wait = time.Second // the publisher says that NATS is away
		}
		if retry.Sleep(ctx, wait) != nil {
			return nil
		}
	}
}

// note keeps what a look has found, and logs the change.
func (b *Bucket) note(ctx context.Context, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch was := b.status.Error; {
	case err == nil && was != nil:
		b.c.Log.InfoContext(ctx, "bucket updates recovered", "bucket", b.c.Name, "after", time.Since(b.status.Since))
		b.status.Since = time.Time{}
	case err != nil && was == nil:
		b.status.Since = time.Now()
		fallthrough
	case err != nil && was.Error() != err.Error():
		b.c.Log.WarnContext(ctx, "bucket updates fail", "bucket", b.c.Name, "error", err, "since", b.status.Since)
	}
	b.status.Error = err
}

// look makes the bucket if it does not exist, and fills it anew if it has to be.
func (b *Bucket) look(ctx context.Context) error {
	js, err := b.c.Conn.JetStream(jetstream.WithDefaultTimeout(requestTimeout))
	if err != nil {
		return err
	}
	live, have, err := b.c.find(ctx, js)
	if errors.Is(err, jetstream.ErrStreamNotFound) && live != nil {
		have, err = b.c.make(ctx, js, live, 0)
	}
	if err != nil {
		return err
	}
	if made, ok := have.Config.Metadata[filledFrom]; ok && made != stamp(live.Created) {
		b.behind = false
		return b.refill(ctx, js, live, have, "the stream was recreated")
	}
	switch err := b.compare(ctx, js, have); {
	case !errors.Is(err, errBehind):
		b.behind = false
		return err
	case !b.behind: // it may just be on its way
		b.behind = true
		return nil
	case lag(have) > 0:
		return fmt.Errorf("%w: it has %s of the stream still to read; wait if the number falls, otherwise check NATS and its disk", errBehind, english.Plural(int(lag(have)), "message", ""))
	case time.Since(b.refilled) < refillEvery:
		return fmt.Errorf("%w, although it was filled anew at %s; see `nats stream info %s` for the state of its source", errBehind, stamp(b.refilled), b.c.stream())
	}
	b.refilled = time.Now()
	if err := b.refill(ctx, js, live, have, "it stood still"); err != nil {
		return err
	}
	return fmt.Errorf("%w; it is filled anew", errBehind) // whether that helps, the next look sees
}

// compare returns errBehind if the newest event that the stream has is not in the
// bucket. Another roomwatch, or the next event, may have put a later one there.
func (b *Bucket) compare(ctx context.Context, js jetstream.JetStream, have *jetstream.StreamInfo) error {
	epoch, stored, _ := b.c.Outbox.Position()
	if stored == 0 {
		return nil
	}
	e, known, err := b.c.Outbox.Event(stored)
	if err != nil || !known {
		return err // an earlier build has not kept it
	}
	if age := have.Config.MaxAge; age > 0 && time.Since(e.Time) > age-2*bucketLook {
		return nil // it expires
	}
	s, err := js.Stream(ctx, have.Config.Name)
	if err != nil {
		return fmt.Errorf("look at bucket %s: %w", b.c.Name, err)
	}
	q := b.c.Conn.Ask()
	m, err := s.GetLastMsgForSubject(ctx, "$KV."+b.c.Name+"."+BucketKey(b.c.SDKAppID, e.Room.RoomID))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return errBehind
	}
	if err != nil {
		return fmt.Errorf("read from bucket %s: %w", b.c.Name, q.Denied(err))
	}
	var got envelope[json.RawMessage]
	if err := json.Unmarshal(m.Data, &got); err != nil {
		return fmt.Errorf("read from bucket %s: event of room %q: %w", b.c.Name, e.Room.RoomID, err)
	}
	if has, seq, err := splitID(got.ID); err != nil || has == epoch && seq < stored || has != epoch && got.Time < e.Time.UTC().Format(wireTime) {
		return errBehind
	}
	return nil
}

// refill removes the bucket and makes it again, so that NATS fills it from the
// beginning of the stream. Its revisions continue where they were: a watch of a client
// goes on with them. If it is cut short, the next look makes the bucket, with
// revisions from 1, and a watch has to be begun again. Two roomwatches may do it at
// the same time: the bucket of the later one has the same revisions.
func (b *Bucket) refill(ctx context.Context, js jetstream.JetStream, live, have *jetstream.StreamInfo, why string) error {
	b.c.Log.WarnContext(ctx, "bucket is refilled from the stream", "bucket", b.c.Name, "reason", why)
	q := b.c.Conn.Ask()
	if err := js.DeleteStream(ctx, b.c.stream()); err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
		return fmt.Errorf("fill bucket %s anew, since %s: %w; or remove it with `nats stream rm %s`", b.c.Name, why, q.Denied(err), b.c.stream())
	}
	b.refills.Inc()
	_, err := b.c.make(ctx, js, live, have.State.LastSeq+1)
	return err
}

// lag is how many messages the source has still to read, as far as NATS knows.
func lag(have *jetstream.StreamInfo) (n uint64) {
	for _, s := range have.Sources {
		n = cmp.Or(s.Lag, n)
	}
	return n
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
