package streams

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/publisher/natstest"
)

// What NATS really says to who reaches a limit is known, with its fix; and a look
// at the account finds it before.
func TestLimitsOfTheAccount(t *testing.T) {
	makes := func(js jetstream.JetStream, c jetstream.StreamConfig) error {
		_, err := js.CreateStream(t.Context(), c)
		return err
	}
	consumes := func(pending int) func(js jetstream.JetStream, _ jetstream.StreamConfig) error {
		return func(js jetstream.JetStream, _ jetstream.StreamConfig) error {
			_, err := js.CreateConsumer(t.Context(), "LIVE", jetstream.ConsumerConfig{Durable: "more", AckPolicy: jetstream.AckExplicitPolicy, MaxAckPending: pending})
			return err
		}
	}
	tests := []struct {
		name   string
		need   Need
		exists bool // LIVE, with one consumer
		limit  func(*server.JetStreamAccountLimits)
		edit   func(*jetstream.StreamConfig) // of the stream, before it is made
		does   func(jetstream.JetStream, jetstream.StreamConfig) error
		want   string
	}{
		{name: "size required", need: writes, limit: func(l *server.JetStreamAccountLimits) { l.MaxBytesRequired = true }, does: makes, want: "set ROOMWATCH_STREAM_MAX_BYTES to"},
		{name: "size required, of roomnotify", need: keeps, limit: func(l *server.JetStreamAccountLimits) { l.MaxBytesRequired = true }, does: makes, want: "set ROOMNOTIFY_STREAM_MAX_BYTES to"},
		{name: "too large", need: writes, limit: func(l *server.JetStreamAccountLimits) { l.StoreMaxStreamBytes = 1 << 20 },
			edit: func(c *jetstream.StreamConfig) { c.MaxBytes = 2 << 20 }, does: makes, want: "the account limits the size of a stream: set ROOMWATCH_STREAM_MAX_BYTES"},
		{name: "streams", need: writes, limit: func(l *server.JetStreamAccountLimits) { l.MaxStreams = 1 }, does: makes, want: "remove a stream that nobody uses"},
		{name: "no storage", need: writes, limit: func(l *server.JetStreamAccountLimits) { l.MaxStore = 0 }, does: makes, want: " is full"},
		{name: "consumers of the account", need: reads, exists: true, limit: func(l *server.JetStreamAccountLimits) { l.MaxConsumers = 1 }, does: consumes(0), want: "`nats consumer ls LIVE`"},
		{name: "consumers of the stream", need: reads, exists: true, limit: func(*server.JetStreamAccountLimits) {},
			edit: func(c *jetstream.StreamConfig) { c.MaxConsumers = 1 }, does: consumes(0), want: "`nats stream edit LIVE --max-consumers=…`"},
		{name: "unacknowledged", need: reads, exists: true, limit: func(l *server.JetStreamAccountLimits) { l.MaxAckPending = 100 }, does: consumes(5000), want: "a consumer with 5000 unacknowledged messages is needed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := natstest.Start(t, nil)
			nc, err := nats.Connect(s.ClientURL())
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			js, err := jetstream.New(nc)
			if err != nil {
				t.Fatal(err)
			}
			wanted := tt.need.good()
			if tt.edit != nil {
				tt.edit(&wanted)
			}
			var info *jetstream.StreamInfo
			if tt.exists {
				made, err := js.CreateStream(t.Context(), wanted)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := made.CreateConsumer(t.Context(), jetstream.ConsumerConfig{Durable: "one"}); err != nil {
					t.Fatal(err)
				}
				if info, err = made.Info(t.Context()); err != nil {
					t.Fatal(err)
				}
			} else if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "OTHER", MaxBytes: 1000}); err != nil {
				t.Fatal(err)
			}
			look := func() error {
				a, err := js.AccountInfo(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				return tt.need.CheckAccount(a, info, wanted)
			}
			if err := look(); err != nil && tt.name != "consumers of the stream" {
				t.Errorf("without the limit: %v", err)
			}
			natstest.Limit(t, s, tt.limit)
			for what, err := range map[string]error{"a look": look(), "NATS": tt.need.Explain(tt.does(js, wanted))} {
				if !errors.Is(err, ErrLimit) || !strings.Contains(err.Error(), tt.want) || MayPass(err) {
					t.Errorf("%s: %v (may pass: %v)\nwant %s", what, err, MayPass(err), tt.want)
				}
			}
		})
	}
}

// An account without JetStream, a server without it, and a domain that nobody has.
func TestNoJetStream(t *testing.T) {
	without := natstest.Start(t, func(o *server.Options) { o.JetStream = false })
	disabled := natstest.Start(t, nil)
	if err := disabled.GlobalAccount().DisableJetStream(); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		url, domain string
	}{
		"the server has none": {url: without.ClientURL()}, "the account has none": {url: disabled.ClientURL()},
		"no such domain": {natstest.Start(t, nil).ClientURL(), "elsewhere"},
	} {
		nc, err := nats.Connect(tt.url)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		js, err := jetstream.New(nc)
		if tt.domain != "" {
			js, err = jetstream.NewWithDomain(nc, tt.domain)
		}
		if err != nil {
			t.Fatal(err)
		}
		_, err = js.Stream(t.Context(), "LIVE")
		if err = writes.Explain(err); !errors.Is(err, ErrLimit) || !strings.Contains(err.Error(), "NATS_JS_DOMAIN") || !strings.Contains(err.Error(), "start nats-server with -js") {
			t.Errorf("%s: %v", name, err)
		}
		if MayPass(err) != (name != "the account has none") {
			t.Errorf("%s: may pass: %t", name, MayPass(err))
		}
	}
}

// Refusals that a test cannot bring about.
func TestOtherRefusals(t *testing.T) {
	for code, want := range map[jetstream.ErrorCode]string{
		noPeers: "set ROOMWATCH_STREAM_REPLICAS to less", unavailable: "no leader", noReplicas: "set ROOMWATCH_STREAM_REPLICAS to 1", noTier: "ROOMWATCH_STREAM_REPLICAS to a tier",
		serverFull: "max_file_store", storageFull: "max_file_store", memoryFull: "max_memory_store", fetchExceeded: "max_request_batch", oldServer: "upgrade",
		idleExceeded: "jq '.config | del(.consumer_limits)' >LIVE.json", notUnique: "`roomwatch check` says how to replace it",
	} {
		err := writes.Explain(fmt.Errorf("publish: %w", &jetstream.APIError{Code: 400, ErrorCode: code}))
		if !errors.Is(err, ErrLimit) || !strings.Contains(err.Error(), want) {
			t.Errorf("%d: %v, want %s", code, err, want)
		}
	}
	for _, err := range []error{nil, errors.New("x"), &jetstream.APIError{ErrorCode: jetstream.JSErrCodeStreamNotFound}, nats.ErrTimeout} {
		if got := writes.Explain(err); errors.Is(got, ErrLimit) || !errors.Is(got, err) || !MayPass(err) {
			t.Errorf("%v became %v", err, got)
		}
	}
	if MayPass(fmt.Errorf("%w: LIVE", ErrUnfit)) {
		t.Error("an unfit stream is waited for")
	}
	wanted := writes.good()
	wanted.Replicas = 3
	if err := writes.CheckAccount(&jetstream.AccountInfo{Tiers: map[string]jetstream.Tier{"R1": {}}}, nil, wanted); !errors.Is(err, ErrLimit) || !strings.Contains(err.Error(), "no limits for 3 replicas") {
		t.Errorf("no tier: %v", err)
	}
}
