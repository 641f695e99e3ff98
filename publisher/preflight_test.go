package publisher

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/publisher/natsconn"
	"roomwatch/publisher/natstest"
	"roomwatch/publisher/streams"
)

func TestUnfit(t *testing.T) {
	tests := []struct {
		name string
		edit func(*jetstream.StreamConfig)
		want string // reason and command; empty if it fits
	}{
		{name: "as wanted", edit: func(*jetstream.StreamConfig) {}},
		{name: "more subjects", edit: func(c *jetstream.StreamConfig) { c.Subjects = []string{"other", "live.>"} }},
		{name: "just enough subjects", edit: func(c *jetstream.StreamConfig) {
			c.Subjects = []string{"live.*.*.88888888.*", "live.writer.claimed.*"}
		}},
		{name: "subjects of each kind", edit: func(c *jetstream.StreamConfig) {
			c.Subjects = []string{"live.room.>", "live.viewcount.>", "live.writer.>"}
		}},
		{name: "limits", edit: func(c *jetstream.StreamConfig) {
			c.MaxMsgs, c.MaxBytes, c.MaxAge, c.MaxMsgSize = streams.LeastMessages, streams.LeastBytes, time.Hour, streams.LeastMessage
		}},
		{name: "discard new", edit: func(c *jetstream.StreamConfig) { c.Discard, c.MaxMsgs, c.MaxBytes = jetstream.DiscardNew, 9, 9000 }},
		{name: "no batches, no direct gets, compressed, short window", edit: func(c *jetstream.StreamConfig) {
			c.AllowAtomicPublish, c.AllowDirect, c.Compression, c.Duplicates = false, false, jetstream.S2Compression, time.Second
		}},
		{name: "deletes denied", edit: func(c *jetstream.StreamConfig) { c.DenyDelete, c.DenyPurge = true, true }},

		{name: "claims not covered", edit: func(c *jetstream.StreamConfig) { c.Subjects = []string{"live.*.*.*.*"} }, want: "do not cover live.writer.claimed.88888888; `nats stream edit LIVE --subjects='live.>'`"},
		{name: "events not covered", edit: func(c *jetstream.StreamConfig) { c.Subjects = []string{"live.writer.>"} }, want: "do not cover live.room.created.88888888.*, live.room.ended.88888888.*, "},
		{name: "some events not covered", edit: func(c *jetstream.StreamConfig) {
			c.Subjects = []string{"other", "live.room.>", "live.writer.>"}
		}, want: "do not cover live.viewcount.changed.88888888.*; `nats stream edit LIVE --subjects='other,live.>'`"},
		{name: "no acks", edit: func(c *jetstream.StreamConfig) { c.NoAck, c.AllowAtomicPublish = true, false }, want: "`nats stream edit LIVE --ack`"},
		{name: "in memory", edit: func(c *jetstream.StreamConfig) { c.Storage = jetstream.MemoryStorage }, want: "kept in memory"},
		{name: "work queue", edit: func(c *jetstream.StreamConfig) { c.Retention = jetstream.WorkQueuePolicy }, want: "retention is WorkQueue"},
		{name: "interest", edit: func(c *jetstream.StreamConfig) { c.Retention = jetstream.InterestPolicy }, want: "retention is Interest"},
		{name: "transform", edit: func(c *jetstream.StreamConfig) {
			c.SubjectTransform = &jetstream.SubjectTransformConfig{Source: "live.>", Destination: "dead.>"}
		}, want: "`nats stream edit LIVE --no-transform`"},
		{name: "one event a room", edit: func(c *jetstream.StreamConfig) {
			c.Discard, c.DiscardNewPerSubject, c.MaxMsgsPerSubject = jetstream.DiscardNew, true, 1
		}, want: "--no-discard-per-subject"},
		{name: "counter", edit: func(c *jetstream.StreamConfig) { c.AllowMsgCounter = true }, want: "it is a counter"},
		{name: "delete markers", edit: func(c *jetstream.StreamConfig) {
			c.SubjectDeleteMarkerTTL, c.AllowMsgTTL, c.AllowRollup = time.Minute, true, true
		}, want: "--subject-del-markers-ttl=0s"},
		{name: "small messages", edit: func(c *jetstream.StreamConfig) { c.MaxMsgSize = streams.LeastMessage - 1 }, want: "`nats stream edit LIVE --max-msg-size=16384`"},
		{name: "small", edit: func(c *jetstream.StreamConfig) { c.MaxBytes = streams.LeastBytes - 1 }, want: "`nats stream edit LIVE --max-bytes=65536`"},
		{name: "asynchronous", edit: func(c *jetstream.StreamConfig) {
			c.PersistMode, c.AllowAtomicPublish = jetstream.AsyncPersistMode, false
		}, want: "persist_mode async"},
	}
	natstest.Run(t, func(t *testing.T, s *natstest.Server) {
		nc := s.Connect()
		js, err := jetstream.New(nc)
		if err != nil {
			t.Fatal(err)
		}
		for _, tt := range tests {
			c := live.wanted()
			tt.edit(&c)
			made, err := js.CreateStream(t.Context(), c)
			if err != nil {
				t.Errorf("%s: the server refuses it: %v", tt.name, err)
				continue
			}
			_, _, err = live.preflight(t.Context(), natsconn.Of(nc), js, app, 0)
			_, ierr := Inspect(t.Context(), natsconn.Of(nc), live, app)
			switch {
			case tt.want == "" && (err != nil || ierr != nil):
				t.Errorf("%s: %v, %v", tt.name, err, ierr)
			case tt.want != "" && (!errors.Is(err, ErrUnfit) || !errors.Is(ierr, ErrUnfit) || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("%s: %v\nwant %s\nInspect: %v", tt.name, err, tt.want, ierr)
			}
			after, err := js.Stream(t.Context(), live.Name)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := after.CachedInfo().Config, made.CachedInfo().Config; !sameJSON(got, want) {
				t.Errorf("%s: altered from %+v to %+v", tt.name, want, got)
			}
			if n := after.CachedInfo().State.Msgs; n > 0 {
				t.Errorf("%s: %d messages", tt.name, n)
			}
			if err := js.DeleteStream(t.Context(), live.Name); err != nil {
				t.Fatal(err)
			}
			pass(time.Second) // the server removes its files afterwards
		}
	})
}

func TestSealedAndMirror(t *testing.T) {
	bubble(t, func(t *testing.T, _ *natstest.Server, nc *nats.Conn, _ *box) {
		have := live.wanted()
		have.Sealed, have.Mirror = true, &jetstream.StreamSource{Name: "OTHER"}
		_, err := live.fits(natsconn.Of(nc), have, app)
		for _, want := range []string{"it is sealed", "nats stream rm LIVE", "it is a mirror", "--no-mirror"} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v\nlacks %s", err, want)
			}
		}
	})
}

func TestInspectMakesNothingAndRunMakesTheStream(t *testing.T) {
	bubble(t, func(t *testing.T, _ *natstest.Server, nc *nats.Conn, b *box) {
		js, err := jetstream.New(nc)
		if err != nil {
			t.Fatal(err)
		}
		if found, err := Inspect(t.Context(), natsconn.Of(nc), live, app); err != nil || !strings.Contains(found, "does not exist yet") {
			t.Errorf("%q, %v", found, err)
		}
		if _, err := js.Stream(t.Context(), live.Name); !errors.Is(err, jetstream.ErrStreamNotFound) {
			t.Errorf("Inspect made the stream: %v", err)
		}
		p := start(t, nc, b)
		pass(time.Second)
		got := stream(t, nc, nil).CachedInfo().Config
		if got.Storage != jetstream.FileStorage || !got.AllowAtomicPublish || !got.AllowDirect || got.Replicas != 1 ||
			got.MaxBytes != -1 || got.Discard != jetstream.DiscardOld || len(got.Subjects) != 1 || got.Subjects[0] != "live.>" {
			t.Errorf("made %+v", got)
		}
		if err := p.stop(); err != nil {
			t.Error(err)
		}
	})
}

// At the first contact an unfit stream is an error; later it is waited for.
func TestUnfitAtTheStartAndLater(t *testing.T) {
	bubble(t, func(t *testing.T, _ *natstest.Server, nc *nats.Conn, b *box) {
		narrow := func(c *jetstream.StreamConfig) { c.Subjects = []string{"live.writer.>"} }
		stream(t, nc, narrow)
		r := start(t, nc, b)
		r.wantEnd(t)
		if !errors.Is(r.err, ErrUnfit) {
			t.Errorf("ended with %v", r.err)
		}
		stream(t, nc, func(*jetstream.StreamConfig) {})
		r = start(t, nc, b)
		pass(time.Second)
		stream(t, nc, narrow)
		b.add(3)
		pass(time.Hour)
		if err := r.Status().LastError; !errors.Is(err, ErrUnfit) {
			t.Errorf("last error %v", err)
		}
		stream(t, nc, func(*jetstream.StreamConfig) {})
		pass(time.Minute)
		wantEvents(t, nc, 1, 3)
	})
}
