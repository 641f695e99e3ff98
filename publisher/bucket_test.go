package publisher

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"roomwatch/diff/logtest"
	"roomwatch/publisher/natsconn"
	"roomwatch/publisher/natstest"
)

const bucketName = "live_rooms"

// A bucketRun is a Bucket that runs beside a publisher.
type bucketRun struct {
	*Bucket
	log    *logtest.Buffer
	cancel context.CancelFunc
	done   chan error
}

func startBucket(t *testing.T, nc *nats.Conn, out Outbox, app int) *bucketRun {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r := &bucketRun{log: &logtest.Buffer{}, cancel: cancel, done: make(chan error, 1)}
	r.Bucket = NewBucket(BucketConfig{
		Name: bucketName, Conn: natsconn.Of(nc), Outbox: out, Stream: live, SDKAppID: app,
		Log: slog.New(slog.NewTextHandler(r.log, nil)),
	})
	go func() { r.done <- r.Run(ctx) }()
	t.Cleanup(cancel)
	pass(time.Second)
	return r
}

func (r *bucketRun) stop() error {
	r.cancel()
	return <-r.done
}

// ids returns the ids of the values by key, as a client of the bucket sees them.
func bucketIDs(t *testing.T, js jetstream.JetStream) map[string]string {
	t.Helper()
	kv, err := js.KeyValue(t.Context(), bucketName)
	if err != nil {
		t.Fatal(err)
	}
	w, err := kv.WatchAll(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = w.Stop() }()
	ids := map[string]string{}
	for e := range w.Updates() {
		if e == nil {
			return ids
		}
		event, err := Decode(e.Value())
		if err != nil {
			t.Fatal(err)
		}
		ids[e.Key()] = event.ID
	}
	t.Fatal("the watch has ended")
	return nil
}

// The bucket has the newest event of each room, by any RoomID, and nobody can put
// into it. It follows, and says nothing of it.
func TestBucketFollowsTheStream(t *testing.T) {
	bubble(t, func(t *testing.T, _ *natstest.Server, nc *nats.Conn, b *box) {
		const odd = "a/b %.>*=中\x00"
		r := start(t, nc, b)
		b.add(12) // of ten rooms
		b.addRoom(odd, "")
		pass(time.Second)
		k := startBucket(t, nc, b, app)
		defer func() {
			if err := k.stop(); err != nil {
				t.Error(err)
			}
		}()
		b.add(1)
		pass(time.Second)
		ids := bucketIDs(t, r.js)
		want := map[string]string{BucketKey(app, "room0"): eventID("E1", 11), BucketKey(app, "room1"): eventID("E1", 12), BucketKey(app, odd): eventID("E1", 13), BucketKey(app, "room3"): eventID("E1", 14)}
		for key, id := range want {
			if ids[key] != id {
				t.Errorf("key %s has event %s, want %s", key, ids[key], id)
			}
		}
		if len(ids) != 11 {
			t.Errorf("it has %d keys, want the 11 rooms: %v", len(ids), ids)
		}
		kv, err := r.js.KeyValue(t.Context(), bucketName)
		if err != nil {
			t.Fatal(err)
		}
		if e, err := kv.Get(t.Context(), BucketKey(app, odd)); err != nil || e.Revision() == 0 {
			t.Errorf("get: %v", err)
		}
		if _, err := kv.Put(t.Context(), BucketKey(app, odd), nil); err == nil {
			t.Error("a client could put into it")
		}
		pass(time.Hour)
		if k.Status().Error != nil || testutil.ToFloat64(k.refills) != 0 || k.log.String() != "" {
			t.Errorf("after an hour: %v\n%s", k.Status().Error, k.log)
		}
	})
}

// Two applications share a bucket, whoever makes it.
func TestBucketOfTwoApplications(t *testing.T) {
	bubble(t, func(t *testing.T, s *natstest.Server, nc *nats.Conn, b *box) {
		r := start(t, nc, b)
		b.add(1)
		pass(time.Second)
		first := startBucket(t, nc, b, app)
		other := newBox("E9")
		second := startBucket(t, s.Connect(), other, app+1)
		if _, err := r.js.Publish(t.Context(), Subject(live.Prefix, "room.created", app+1, "room0"), body(t, eventID("E9", 1))); err != nil {
			t.Fatal(err)
		}
		pass(5 * time.Minute)
		if ids := bucketIDs(t, r.js); len(ids) != 2 || ids[BucketKey(app+1, "room0")] != eventID("E9", 1) {
			t.Errorf("it has %v", ids)
		}
		if err := errors.Join(first.Status().Error, second.Status().Error, first.stop(), second.stop()); err != nil {
			t.Error(err)
		}
	})
}

// body is an event of room0 with an id.
func body(t *testing.T, id string) []byte {
	t.Helper()
	b, err := marshal(envelope[eventData]{ID: id, Type: "room.created", Time: time.Now().UTC().Format(wireTime), Data: eventData{Room: wireRoom{RoomID: "room0"}, Version: 1}})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A stream that was recreated begins with numbers that its source has read before.
// The bucket has its events all the same, none of the old ones, and whoever watches it
// goes on.
func TestBucketOfAStreamThatIsRecreated(t *testing.T) {
	bubble(t, func(t *testing.T, _ *natstest.Server, nc *nats.Conn, b *box) {
		r := start(t, nc, b)
		b.add(40)
		pass(time.Second)
		k := startBucket(t, nc, b, app)
		kv, err := r.js.KeyValue(t.Context(), bucketName)
		if err != nil {
			t.Fatal(err)
		}
		w, err := kv.WatchAll(t.Context(), jetstream.UpdatesOnly())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = w.Stop() }()
		if err := r.js.DeleteStream(t.Context(), live.Name); err != nil {
			t.Fatal(err)
		}
		for range 5 {
			b.add(1)
			pass(bucketLook)
		}
		ids := bucketIDs(t, r.js)
		for i := range uint64(5) {
			if key, id := BucketKey(app, fmt.Sprintf("room%d", i)), eventID("E1", 41+i); ids[key] != id {
				t.Errorf("key %s has event %q, want %s", key, ids[key], id)
			}
		}
		if len(ids) != 5 {
			t.Errorf("it has %d keys, want the 5 rooms of the new stream", len(ids))
		}
		if n := len(w.Updates()); n < 5 {
			t.Errorf("a watch has had %d updates, want 5", n)
		}
		if n := testutil.ToFloat64(k.refills); n != 1 || k.Status().Error != nil || strings.Count(k.log.String(), "is refilled") != 1 {
			t.Errorf("filled %v times, want once, now %v:\n%s", n, k.Status().Error, k.log)
		}
		if err := k.stop(); err != nil {
			t.Error(err)
		}
	})
}

// A bucket that stands still is filled anew by the second look that finds it so. If
// that does not help, it is said, and tried once an hour.
func TestBucketThatStandsStill(t *testing.T) {
	bubble(t, func(t *testing.T, _ *natstest.Server, nc *nats.Conn, b *box) {
		r := start(t, nc, b)
		b.add(3)
		pass(time.Second)
		ahead := newBox("E1") // knows of an event that the stream does not have
		ahead.add(4)
		if err := ahead.Stored(4); err != nil {
			t.Fatal(err)
		}
		k := startBucket(t, nc, ahead, app)
		want := func(refills float64, failing bool) {
			t.Helper()
			if n, err := testutil.ToFloat64(k.refills), k.Status().Error; n != refills || (err != nil) != failing {
				t.Errorf("filled %v times, want %v; it says %v", n, refills, err)
			}
		}
		want(0, false)
		pass(bucketLook)
		want(1, true)
		pass(3 * bucketLook)
		want(1, true)
		if !errors.Is(k.Status().Error, errBehind) {
			t.Errorf("it says %v", k.Status().Error)
		}
		pass(refillEvery + 3*bucketLook)
		want(2, true)
		b.add(1)
		pass(3 * bucketLook)
		want(2, false)
		if ids := bucketIDs(t, r.js); len(ids) != 4 {
			t.Errorf("it has %v", ids)
		}
		if log := k.log.String(); strings.Count(log, "bucket updates fail") > 5 || strings.Count(log, "bucket updates recovered") != 1 {
			t.Errorf("want the changes alone:\n%s", log)
		}
		if err := k.stop(); err != nil {
			t.Error(err)
		}
	})
}

// A stream of the bucket's name that is no such bucket is refused at the start with
// the fix, and never altered.
func TestUnfitBucket(t *testing.T) {
	source := BucketConfig{Name: bucketName, Stream: live}.sources()
	other := BucketConfig{Name: bucketName, Stream: StreamConfig{Name: live.Name, Prefix: "other"}}.sources()
	for reason, c := range map[string]jetstream.StreamConfig{
		"it has subjects of its own":                {Subjects: []string{"$KV." + bucketName + ".>"}, MaxMsgsPerSubject: 1},
		"it keeps 5 values of a key":                {MaxMsgsPerSubject: 5, Sources: source},
		"it is not filled from stream LIVE alone":   {MaxMsgsPerSubject: 1, Sources: []*jetstream.StreamSource{{Name: "OTHER"}}},
		"its keys are not made of the subjects of ": {MaxMsgsPerSubject: 1, Sources: other},
	} {
		t.Run(reason, func(t *testing.T) {
			bubble(t, func(t *testing.T, _ *natstest.Server, nc *nats.Conn, b *box) {
				r := start(t, nc, b)
				b.add(1)
				pass(time.Second)
				c.Name = "KV_" + bucketName
				if _, err := r.js.CreateStream(t.Context(), c); err != nil {
					t.Fatal(err)
				}
				k := startBucket(t, nc, b, app)
				err := <-k.done
				if !errors.Is(err, ErrUnfit) || !strings.Contains(err.Error(), reason) || !strings.Contains(err.Error(), "nats stream rm KV_live_rooms") {
					t.Errorf("run: %v, want %q and the fix", err, reason)
				}
				if _, err := InspectBucket(t.Context(), k.c); !errors.Is(err, ErrUnfit) {
					t.Errorf("inspect: %v", err)
				}
			})
		})
	}
}
