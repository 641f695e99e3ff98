package main

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/publisher/natstest"
)

// What only an operator can change ends the start with status 2 and the fix.
func TestLimitsOfNATS(t *testing.T) {
	for name, tt := range map[string]struct {
		limit  func(*testing.T, *server.Server, jetstream.JetStream)
		stream jetstream.StreamConfig
		says   string
	}{
		"consumers": {says: "`nats consumer ls LIVE`", limit: func(t *testing.T, s *server.Server, js jetstream.JetStream) {
			_, err := js.CreateConsumer(t.Context(), "LIVE", jetstream.ConsumerConfig{Durable: "one"})
			must(t, err)
			natstest.Limit(t, s, func(l *server.JetStreamAccountLimits) { l.MaxConsumers = 1 })
		}},
		"unacknowledged": {says: "5000 unacknowledged messages", limit: func(t *testing.T, s *server.Server, _ jetstream.JetStream) {
			natstest.Limit(t, s, func(l *server.JetStreamAccountLimits) { l.MaxAckPending = 100 })
		}},
		"no JetStream": {says: "enable JetStream for the account", limit: func(t *testing.T, s *server.Server, _ jetstream.JetStream) {
			must(t, s.GlobalAccount().DisableJetStream())
		}},
		"a work queue":   {says: "nats stream add LIVE_COPY --mirror=LIVE", stream: jetstream.StreamConfig{Retention: jetstream.WorkQueuePolicy}},
		"idle consumers": {says: "jq '.config | del(.consumer_limits)'", stream: jetstream.StreamConfig{ConsumerLimits: jetstream.StreamConsumerLimits{InactiveThreshold: 1e9}}},
	} {
		t.Run(name, func(t *testing.T) {
			s := natstest.Start(t, nil)
			nc, err := nats.Connect(s.ClientURL())
			must(t, err)
			defer nc.Close()
			js, err := jetstream.New(nc)
			must(t, err)
			tt.stream.Name, tt.stream.Subjects = "LIVE", []string{"live.>"}
			_, err = js.CreateStream(t.Context(), tt.stream)
			must(t, err)
			if tt.limit != nil {
				tt.limit(t, s, js)
			}
			p := start(t, []string{"NATS_URL=" + s.ClientURL(), "ROOMAUDIT_HTTP_ADDR=off", "ROOMAUDIT_DIR=" + t.TempDir()}, "run")
			if status := p.wait(); status != 2 || !strings.Contains(p.out.String(), tt.says) {
				t.Errorf("exit status %d, want 2 and %s:\n%s", status, tt.says, p.out)
			}
		})
	}
}

// A stream that becomes unfit is waited for, and reported.
func TestUnfitWhileRunning(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	dir := t.TempDir()
	r.publish(5)
	p := start(t, r.env(dir), "run")
	r.wantAll(dir)
	c := r.made.CachedInfo().Config
	c.ConsumerLimits.InactiveThreshold = time.Minute
	_, err := r.js.UpdateStream(t.Context(), c)
	must(t, err)
	eventually(t, "a word about it", func() bool { return strings.Contains(p.out.String(), "jq '.config | del(.consumer_limits)'") })
	c.ConsumerLimits.InactiveThreshold = 0
	_, err = r.js.UpdateStream(t.Context(), c)
	must(t, err)
	eventually(t, "recovery", func() bool { return strings.Contains(p.out.String(), "recording recovered") })
	r.publish(5)
	r.wantAll(dir)
	p.stop()
}

// Through a leaf node everything is asked of the domain that is named.
func TestDomain(t *testing.T) {
	hub, leaf := natstest.Leaf(t)
	nc, err := nats.Connect(hub.ClientURL())
	must(t, err)
	defer nc.Close()
	js, err := jetstream.New(nc)
	must(t, err)
	r := &rig{t: t, js: js, srv: hub, next: 1}
	r.makeStream()
	r.publish(20)
	dir := t.TempDir()
	p := start(t, []string{"NATS_URL=" + leaf.ClientURL(), "NATS_JS_DOMAIN=hub", "ROOMAUDIT_HTTP_ADDR=off", "ROOMAUDIT_DIR=" + dir}, "run")
	r.wantAll(dir)
	p.stop()
	r.publish(2)
	must(t, r.made.DeleteMsg(t.Context(), 21)) // a gap: the leader is asked what it has
	p = start(t, []string{"NATS_URL=" + leaf.ClientURL(), "NATS_JS_DOMAIN=hub", "ROOMAUDIT_HTTP_ADDR=off", "ROOMAUDIT_DIR=" + dir}, "run")
	eventually(t, "what is behind the gap", func() bool { return len(recorded(t, dir)) == 21 })
	p.stop()
	wantSound(t, dir)
}
