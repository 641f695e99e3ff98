package main

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/publisher/events"
	"roomwatch/publisher/natstest"
)

// at lets a bench use another server, which has the stream of events.
func (b *bench) at(s *server.Server) {
	b.t.Helper()
	nc, err := nats.Connect(s.ClientURL())
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(nc.Close)
	b.url = s.ClientURL()
	if b.js, err = jetstream.New(nc); err != nil {
		b.t.Fatal(err)
	}
	b.stream(jetstream.StreamConfig{Name: "LIVE", Subjects: []string{"live.>"}, MaxBytes: 1 << 20})
}

func (b *bench) stream(c jetstream.StreamConfig) {
	b.t.Helper()
	if _, err := b.js.CreateOrUpdateStream(b.t.Context(), c); err != nil {
		b.t.Fatal(err)
	}
}

// wants runs a command and fails unless it ends with a status and says so.
func (b *bench) wants(status int, says string, args ...string) {
	b.t.Helper()
	if got, out := b.run(args...); got != status || !strings.Contains(out, says) {
		b.t.Errorf("%s: exit status %d, want %d and %s:\n%s", args, got, status, says, out)
	}
}

// A limit of NATS that only an operator can raise ends each command with status 2
// and the fix; check names it.
func TestLimitsOfNATS(t *testing.T) {
	b, s := newBench(t, benchRules), natstest.Start(t, nil)
	b.at(s)
	natstest.Limit(t, s, func(l *server.JetStreamAccountLimits) { l.MaxBytesRequired = true })
	b.wants(2, "set ROOMNOTIFY_STREAM_MAX_BYTES", "run")
	b.wants(1, "set ROOMNOTIFY_STREAM_MAX_BYTES", "check")
	natstest.Limit(t, s, func(l *server.JetStreamAccountLimits) { l.MaxStreams = 1 })
	b.wants(2, "raise the account's limit of streams", "run")
	b.wants(1, "raise the account's limit of streams", "check")
	if _, err := b.js.CreateConsumer(t.Context(), "LIVE", jetstream.ConsumerConfig{Durable: "one"}); err != nil {
		t.Fatal(err)
	}
	natstest.Limit(t, s, func(l *server.JetStreamAccountLimits) { l.MaxConsumers = 1 })
	b.wants(2, "`nats consumer ls LIVE`", "run")
	b.wants(1, "`nats consumer ls LIVE`", "check")
	natstest.Limit(t, s, func(l *server.JetStreamAccountLimits) { l.MaxAckPending = 100 })
	b.wants(2, "256 unacknowledged messages", "run")
	b.wants(1, "256 unacknowledged messages", "check")
	if err := s.GlobalAccount().DisableJetStream(); err != nil {
		t.Fatal(err)
	}
	b.wants(2, "enable JetStream for the account", "run")
	b.wants(1, "enable JetStream for the account", "check")
	b.wants(2, "enable JetStream for the account", "resend")
}

// With a size the stream is made, and never lets go of what waits in it.
func TestStreamWithASize(t *testing.T) {
	b, s := newBench(t, benchRules), natstest.Start(t, nil)
	b.at(s)
	natstest.Limit(t, s, func(l *server.JetStreamAccountLimits) { l.MaxBytesRequired = true })
	if _, err := openStore(t.Context(), b.js, storeConfig{name: "notify", replicas: 1, maxAge: time.Hour, maxBytes: 1 << 20}, true); err != nil {
		t.Fatal(err)
	}
	made, err := b.js.Stream(t.Context(), "NOTIFY")
	if err != nil {
		t.Fatal(err)
	}
	if c := made.CachedInfo().Config; c.MaxBytes != 1<<20 || c.Discard != jetstream.DiscardNew {
		t.Errorf("made %+v", c)
	}
}

// A stream that loses what it is needed for is refused with the command that fixes it.
func TestUnfitStreams(t *testing.T) {
	for name, tt := range map[string]struct {
		stream jetstream.StreamConfig
		says   string
	}{
		"one a rule": {jetstream.StreamConfig{Name: "NOTIFY", Subjects: []string{"notify.>"}, MaxMsgsPerSubject: 1}, "`nats stream edit NOTIFY --max-msgs-per-subject=-1`"},
		"oldest go":  {jetstream.StreamConfig{Name: "NOTIFY", Subjects: []string{"notify.>"}, MaxBytes: 1 << 20}, "`nats stream edit NOTIFY --discard=new`"},
		"memory":     {jetstream.StreamConfig{Name: "NOTIFY", Subjects: []string{"notify.>"}, Storage: jetstream.MemoryStorage}, "`nats stream rm NOTIFY`"},
		"events":     {jetstream.StreamConfig{Name: "LIVE", Subjects: []string{"live.>"}, Retention: jetstream.InterestPolicy}, "`nats stream edit LIVE --retention=limits`"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, benchRules)
			b.stream(tt.stream)
			b.wants(2, tt.says, "run")
			b.wants(1, tt.says, "check")
		})
	}
	b := newBench(t, benchRules)
	b.stream(jetstream.StreamConfig{Name: "OTHER", Subjects: []string{"notify.dead.>"}})
	b.wants(2, "set ROOMNOTIFY_NAME to another name", "run")
}

// Through a leaf node everything is asked of the domain that is named.
func TestDomain(t *testing.T) {
	b := newBench(t, benchRules)
	hub, leaf := natstest.Leaf(t)
	b.at(hub)
	b.url, b.in = leaf.ClientURL(), "elsewhere"
	b.wants(1, "set NATS_JS_DOMAIN to the domain that has it", "check")
	b.in = "hub"
	b.wants(0, "stream LIVE has 0 messages", "check") // sets the environment, too
	ctx, stop := context.WithCancel(t.Context())
	var out bytes.Buffer
	ended := make(chan int, 1)
	go func() { ended <- run(ctx, []string{"run"}, &out, &out) }()
	defer func() {
		stop()
		if status := <-ended; status != 0 {
			t.Errorf("exit status %d:\n%s", status, &out)
		}
	}()
	soon := func(what string, ok func() bool) {
		t.Helper()
		for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("never: %s", what)
			}
		}
	}
	for _, target := range []string{"hook", "chat", "bot"} {
		soon("consumer for "+target, func() bool {
			_, err := b.js.Consumer(t.Context(), "LIVE", "notify-"+target)
			return err == nil
		})
	}
	e := roomEvent(1, "a", time.Now())
	body, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.js.Publish(t.Context(), events.SubjectOf("live", e), body); err != nil {
		t.Fatal(err)
	}
	soon("three requests", func() bool { return len(b.to.requests("")) == 3 })
}
