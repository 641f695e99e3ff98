package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/publisher/events"
	"roomwatch/publisher/natstest"
)

// elsewhere are subjects on which a subscriber must not have anything published.
var elsewhere = []string{"live.room.ended.1400000000.x", "notify.later.hook.1", "$KV.roomwatch.lease.1400000000", "roomwatch.1400000000.peer.callback"}

// NATS does not check the reply subject of a request: within an account permissions
// do not keep the answers of JetStream away from other subjects. In an account of its own, as deploy/README.md
// has it, a subscriber chooses none of them, and reads and acknowledges as ever.
func TestAnswersGoElsewhere(t *testing.T) {
	natstest.SetPasswords(t)
	t.Setenv("READER_NATS_PASSWORD", "pass")
	file := filepath.Join(t.TempDir(), "nats.conf")
	must(t, os.WriteFile(file, []byte(withReaders(t)), 0o600))
	srv := natstest.Guarded(t, file, "roomaudit", "")
	admin, err := nats.Connect(srv.ClientURL(), nats.UserInfo("admin", "pass"))
	must(t, err)
	defer admin.Close()
	js := natstest.Live(t, admin)
	for name, subject := range map[string]string{"NOTIFY": "notify.>", "KV_roomwatch": "$KV.roomwatch.>", "CALLBACKS": "roomwatch.>"} {
		_, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: name, Subjects: []string{subject}})
		must(t, err)
	}
	for n := uint64(1); n <= 5; n++ {
		_, err := js.Publish(t.Context(), "live.room.created.1400000000.x", event(n, "r", "n"))
		must(t, err)
	}
	stored := func() (n uint64) {
		for _, name := range []string{"LIVE", "NOTIFY", "KV_roomwatch", "CALLBACKS"} {
			s, err := js.Stream(t.Context(), name)
			must(t, err)
			n += s.CachedInfo().State.Msgs
		}
		return n - 5
	}
	redirect(t, srv.ClientURL(), "reader", "$JS.rooms.API.", "reader")
	wantSubscribed(t, srv.ClientURL())
	if n := stored(); n != 0 {
		t.Errorf("the reader has had %d messages published", n)
	}
	redirect(t, srv.ClientURL(), "subscriber", "$JS.API.", "any")
	eventually(t, "what deploy/README.md says of one account", func() bool { return stored() >= uint64(2*len(elsewhere)) })
}

// withReaders is nats.conf with the account of deploy/README.md.
func withReaders(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(natsConfig)
	must(t, err)
	readme, err := os.ReadFile("../../deploy/README.md")
	must(t, err)
	block := func(first, last string) string {
		_, rest, found := strings.Cut(string(readme), "\n    "+first)
		body, _, ends := strings.Cut(rest, "\n    "+last+"\n")
		if !found || !ends {
			t.Fatalf("deploy/README.md has no block %q", first)
		}
		return first + body + "\n" + last + "\n"
	}
	conf := strings.Replace(string(text), "    jetstream: enabled\n", "    jetstream: enabled\n"+block("exports: [", "]"), 1)
	end := strings.LastIndex(conf, "}")
	return conf[:end] + block("READERS {", "}") + conf[end:]
}

// redirect has a user ask JetStream for answers to where it must not publish. It
// returns when the server has answered all.
func redirect(t *testing.T, url, user, api, consumer string) {
	t.Helper()
	nc, err := nats.Connect(url, nats.UserInfo(user, "pass"))
	must(t, err)
	defer nc.Close()
	create := func(extra string) {
		t.Helper()
		m, err := nc.Request(api+"CONSUMER.CREATE.LIVE."+consumer, fmt.Appendf(nil, `{"stream_name":"LIVE","config":{"name":%[1]q,"durable_name":%[1]q,"ack_policy":"explicit"%[2]s}}`, consumer, extra), 10*time.Second)
		must(t, err)
		if strings.Contains(string(m.Data), `"error"`) {
			t.Fatalf("%s", m.Data)
		}
	}
	create("")
	for _, to := range elsewhere {
		must(t, nc.PublishRequest(api+"STREAM.INFO.LIVE", to, nil))
		must(t, nc.PublishRequest(api+"CONSUMER.MSG.NEXT.LIVE."+consumer, to, []byte(`{"batch":1}`)))
	}
	create("") // is answered behind the others
}

// wantSubscribed fails unless the reader gets all five events and acknowledges them.
func wantSubscribed(t *testing.T, url string) {
	t.Helper()
	nc, err := nats.Connect(url, nats.UserInfo("reader", "pass"))
	must(t, err)
	defer nc.Close()
	js, err := jetstream.NewWithDomain(nc, "rooms")
	must(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	n := 0
	must(t, events.Subscribe(ctx, js, events.Options{Stream: "LIVE", Durable: "reader", Workers: 1}, func(context.Context, events.Event) error {
		if n++; n == 5 {
			cancel()
		}
		return nil
	}))
	if n != 5 {
		t.Errorf("the reader got %d events", n)
	}
}
