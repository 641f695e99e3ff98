package publisher

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/publisher/natsconn"
	"roomwatch/publisher/natstest"
)

// What is known after each answer, and what the operator is told to do.
func TestOutcomesAndMends(t *testing.T) {
	api := func(code jetstream.ErrorCode, text string) error {
		return fmt.Errorf("publish: %w", &jetstream.APIError{Code: 400, ErrorCode: code, Description: text})
	}
	tests := []struct {
		name string
		err  error
		want outcome
		fix  string // a part of it; empty: none
	}{
		{name: "stored", want: stored},
		{name: "a newer claim", err: api(10071, "wrong last sequence: 7"), want: fenced},
		{name: "a newer claim, within a batch", err: api(10164, "wrong last sequence"), want: fenced},
		{name: "an id on its way", err: api(10158, "duplicate message id is in process"), want: unknown},
		{name: "stream full of bytes", err: api(10077, "maximum bytes exceeded"), want: refused, fix: "--max-bytes"},
		{name: "stream full of messages", err: api(10077, "maximum messages exceeded"), want: refused, fix: "--max-msgs"},
		{name: "disk error", err: api(10077, "write /data/1.blk: input/output error"), want: unknown, fix: "the log and the disk of nats-server"},
		{name: "account full", err: api(10002, "resource limits exceeded for account"), want: refused, fix: "the account's storage is full"},
		{name: "server full", err: api(10023, "insufficient resources"), want: refused, fix: "max_file_store"},
		{name: "server's storage full", err: api(10047, "insufficient storage resources available"), want: refused, fix: "max_file_store"},
		{name: "sealed", err: api(10109, "invalid operation on sealed stream"), want: refused, fix: "roomwatch check"},
		{name: "larger than the stream allows", err: api(10054, "message size exceeds maximum allowed"), want: refused, fix: "--max-msg-size"},
		{name: "another refusal", err: api(10060, "expected stream does not match"), want: refused},
		{name: "larger than the server allows", err: nats.ErrMaxPayload, want: refused, fix: "raise max_payload"},
		{name: "no answer", err: context.DeadlineExceeded, want: unknown, fix: "nats account info"},
		{name: "no answer to a request", err: nats.ErrTimeout, want: unknown, fix: "nats account info"},
		{name: "closed", err: nats.ErrConnectionClosed, want: unknown},
		{name: "no header", err: nats.ErrHeadersNotSupported, want: refused},
	}
	bubble(t, func(t *testing.T, _ *natstest.Server, nc *nats.Conn, b *box) {
		p, err := New(Config{Conn: natsconn.Of(nc), Outbox: b, Stream: live, SDKAppID: app})
		if err != nil {
			t.Fatal(err)
		}
		for _, tt := range tests {
			if got := outcomeOf(tt.err); got != tt.want {
				t.Errorf("%s: outcome %s, want %s", tt.name, got, tt.want)
			}
			if tt.err == nil {
				continue
			}
			got := p.explain(natsconn.Of(nc).Ask(), tt.err)
			if !errors.Is(got, tt.err) || (got.Error() == tt.err.Error()) != (tt.fix == "") || !strings.Contains(got.Error(), tt.fix) {
				t.Errorf("%s: %v, want the fix %q", tt.name, got, tt.fix)
			}
		}
	})
}

// An account that is full does not answer a batch, and refuses a claim.
func TestAccountIsFull(t *testing.T) {
	s := natstest.Start(t, nil)
	account := s.GlobalAccount()
	if err := account.DisableJetStream(); err != nil {
		t.Fatal(err)
	}
	limit := func(bytes int64) map[string]server.JetStreamAccountLimits {
		return map[string]server.JetStreamAccountLimits{"": {
			MaxMemory: -1, MaxStore: bytes, MaxStreams: -1, MaxConsumers: -1, MaxAckPending: -1, MemoryMaxStreamBytes: -1, StoreMaxStreamBytes: -1,
		}}
	}
	if err := account.EnableJetStream(limit(20000), nil); err != nil {
		t.Fatal(err)
	}
	conn, err := natsconn.Connect(t.Context(), natsconn.Config{URL: s.ClientURL()})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	b := newBox("E1")
	b.add(200)
	r := startWith(t, Config{Conn: conn, Outbox: b})
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !strings.Contains(r.log.String(), "err_code=10002") {
		<-tick.C // a test that hangs here has failed
	}
	for _, fix := range []string{"NATS gave no answer; check", "the account's storage is full"} {
		if !strings.Contains(r.log.String(), fix) {
			t.Errorf("the log lacks %q:\n%s", fix, r.log)
		}
	}
	if err := account.UpdateJetStreamLimits(limit(1 << 30)); err != nil {
		t.Fatal(err)
	}
	waitStored(b)
	wantEvents(t, conn.Client(), 1, 200)
}
