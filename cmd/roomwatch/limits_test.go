package main

import (
	"bufio"
	"net/http"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/poller/simulator"
	"roomwatch/publisher/natstest"
)

// A limit of NATS that only an operator can raise ends each command with status 2
// and the fix; check names it.
func TestLimitsOfNATS(t *testing.T) {
	r := newRig(t, simulator.Config{Seed: 1, Rooms: 3, Quota: -1})
	s := natstest.Start(t, nil)
	env := r.env(t.TempDir(), "NATS_URL="+s.ClientURL())
	want := func(fix string, commands ...string) {
		t.Helper()
		for _, command := range commands {
			wanted := 2
			if command == "check" {
				wanted = 1
			}
			if status, out := runWith(t, env, command); status != wanted || !strings.Contains(out, fix) {
				t.Errorf("%s: exit status %d, want %d and %s:\n%s", command, status, wanted, fix, out)
			}
		}
	}
	natstest.Limit(t, s, func(l *server.JetStreamAccountLimits) { l.MaxBytesRequired = true })
	want("set ROOMWATCH_STREAM_MAX_BYTES", "check", "run")
	natstest.Limit(t, s, func(l *server.JetStreamAccountLimits) { l.MaxStore = 0 })
	want(" is full", "check", "run")

	nc, err := nats.Connect(s.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	natstest.Limit(t, s, func(l *server.JetStreamAccountLimits) { l.MaxConsumers = 1 })
	live, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "LIVE", Subjects: []string{"live.>"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := live.CreateConsumer(t.Context(), jetstream.ConsumerConfig{Durable: "one"}); err != nil {
		t.Fatal(err)
	}
	want("`nats consumer ls LIVE`", "tail", "verify")
	if _, out := runWith(t, env, "check"); !strings.Contains(out, "`nats consumer ls LIVE`") {
		t.Errorf("check:\n%s", out)
	}
	if err := s.GlobalAccount().DisableJetStream(); err != nil {
		t.Fatal(err)
	}
	want("enable JetStream for the account", "check", "run", "tail", "verify")
}

// All commands find the stream in the domain that is named, through a leaf node
// that has a JetStream of its own.
func TestDomain(t *testing.T) {
	r := newRig(t, simulator.Config{Seed: 1, Rooms: 3, Quota: -1})
	_, leaf := natstest.Leaf(t)
	env := r.env(t.TempDir(), "NATS_URL="+leaf.ClientURL(), "NATS_JS_DOMAIN=hub")
	if status, out := runWith(t, env, "check"); status != 0 || !strings.Contains(out, "does not exist yet") {
		t.Errorf("check: exit status %d:\n%s", status, out)
	}
	addr := freeAddr(t)
	p := startProcess(t, append(env, "ROOMWATCH_HTTP_ADDR="+addr), "run")
	eventually(t, "events", func() bool {
		status, out := runWith(t, env, "verify")
		return status == 0 && strings.Contains(out, "3 events")
	})
	tail := startProcess(t, env, "tail", "--since", "1h")
	eventually(t, "tail", func() bool { return strings.Count(tail.output.String(), "room.created") == 3 })
	tail.stop()
	resp, err := http.Get("http://" + addr + "/api/v1/events?since=1h") //nolint:noctx // the daemon of this test
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	for lines := bufio.NewScanner(resp.Body); ; { // a test that hangs here has failed
		if !lines.Scan() {
			t.Fatalf("the events over HTTP end: %v", lines.Err())
		}
		if strings.Contains(lines.Text(), "room.created") {
			break
		}
	}
	if status := p.stop(); status != 0 {
		t.Errorf("exit status %d:\n%s", status, p.output)
	}
	if status, out := runWith(t, append(env, "NATS_JS_DOMAIN=elsewhere"), "verify"); status != 2 || !strings.Contains(out, "NATS_JS_DOMAIN") {
		t.Errorf("a domain that nobody has: exit status %d:\n%s", status, out)
	}
	if status, out := runWith(t, append(env, "NATS_URL="), "run"); status != 2 || !strings.Contains(out, "the embedded server has no domain") {
		t.Errorf("the embedded server: exit status %d:\n%s", status, out)
	}
}
