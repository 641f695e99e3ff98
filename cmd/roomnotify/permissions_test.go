package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/cmd/internal/environ"
	"roomwatch/cmd/roomnotify/rules"
	"roomwatch/diff/logtest"
	"roomwatch/publisher/events"
	"roomwatch/publisher/natstest"
)

const natsConfig = "../../deploy/nats/nats.conf"

// With the permissions of the example file all of roomnotify works. With any one
// less it ends, and says which permission lacks.
func TestLeastPermissions(t *testing.T) {
	ofAnotherTarget := func(subject string) bool { return strings.Contains(subject, "LIVE.notify-team") }
	natstest.LeastPermissions(t, natstest.Role{File: natsConfig, User: "roomnotify", Subjects: 10, Except: ofAnotherTarget}, func(t *testing.T, srv *server.Server) string {
		if err := useEverything(t, srv); err != nil {
			return err.Error()
		}
		return ""
	})
}

// useEverything lets roomnotify make its stream, tell, hold back, be refused,
// send a digest and dead letters. It returns the first error that ends it.
func useEverything(t *testing.T, srv *server.Server) error {
	t.Helper()
	nc, err := nats.Connect(srv.ClientURL(), nats.UserInfo("admin", "pass"))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js := natstest.Live(t, nc)
	to := &receiver{t: t}
	web := httptest.NewServer(to)
	defer web.Close()
	var first sync.Once
	to.answers(func(w http.ResponseWriter, r *http.Request) (refused bool) {
		if strings.Contains(r.Header.Get("webhook-id"), "_w") {
			return false
		}
		first.Do(func() {
			w.WriteHeader(http.StatusGone)
			refused = true
		})
		return refused
	})
	file, err := rules.Parse([]byte("targets:\n  hook: {kind: webhook, url: '"+web.URL+"', secret: '${S}'}\nrules:\n  r: {events: [room.created], milestones: [5], limit: 2, targets: [hook]}\n  w: {watch: true, targets: [hook]}\n"),
		rules.Source{Lookup: func(string) (string, bool) { return hookSecret, true }})
	if err != nil {
		t.Fatal(err)
	}
	cfg := &config{Name: "notify", Stream: "LIVE", Prefix: "live", Replicas: 1, MaxAge: time.Hour, HTTPAddr: "off", NATSURL: srv.ClientURL(), NATS: environ.NATS{NATSUser: "roomnotify", NATSPassword: "pass"}}
	publish := func(first int) {
		for i := first; i < first+3; i++ {
			e := roomEvent(uint64(i), fmt.Sprintf("room%d", i), time.Now())
			e.Data.Room.ViewCount = int64(i)
			body, err := events.Encode(e)
			if err == nil {
				_, err = js.Publish(t.Context(), events.SubjectOf("live", e), body)
			}
			if err != nil {
				t.Error(err)
			}
		}
	}
	alive := func(watching bool) {
		a := events.Alive{About: about(events.WatchAlive, "x", 88888888, time.Now()), Data: events.AliveData{Watching: watching, Until: time.Now().Add(-time.Hour)}}
		body, err := json.Marshal(a)
		if err == nil {
			_, err = js.Publish(t.Context(), "live.watch.alive.88888888", body)
		}
		if err != nil {
			t.Error(err)
		}
	}
	// One is refused, one is told, one is held back; and that nobody watches is told.
	alive(false)
	if err := runUntil(t, js, cfg, file, func() { publish(1) }, func() bool { return len(to.requests("")) >= 3 && held(t, js) == 1 }); err != nil {
		return err
	}
	// The next start tells what is held; some cross a milestone, and it is watched again.
	alive(true)
	if err := runUntil(t, js, cfg, file, func() { publish(4) }, func() bool { return len(to.requests("")) >= 5 && held(t, js) == 0 }); err != nil {
		return err
	}
	var out strings.Builder
	err = resendCommanded(t.Context(), cfg, selection{file: file}, "", &out)
	if err == nil && !strings.Contains(out.String(), "1 sent, 0 not accepted, 0 not sent") {
		t.Errorf("resend: %s", &out)
	}
	return err
}

// runUntil runs roomnotify until done holds or it ends by itself.
func runUntil(t *testing.T, js jetstream.JetStream, cfg *config, file *rules.File, publish func(), done func() bool) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	ended := make(chan error, 1)
	logs := &logtest.Buffer{}
	go func() { ended <- runDaemon(ctx, cfg, file, slog.New(slog.NewTextHandler(logs, nil))) }()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	var published bool
	for {
		select {
		case err := <-ended:
			if err == nil {
				t.Errorf("it works neither, nor says why:\n%s", logs)
			}
			return err
		case <-tick.C:
		}
		if !published {
			if _, err := js.Consumer(t.Context(), "LIVE", "notify-hook"); err == nil {
				published = true
				publish()
			}
		}
		// Told is not enough: a permission to acknowledge may be what is missing.
		if published && done() && acknowledged(t, js) {
			cancel()
			return <-ended
		}
	}
}

// acknowledged reports whether NATS has heard that each event is done with.
func acknowledged(t *testing.T, js jetstream.JetStream) bool {
	t.Helper()
	c, err := js.Consumer(t.Context(), "LIVE", "notify-hook")
	if err != nil {
		return false
	}
	info := c.CachedInfo()
	return info.NumPending == 0 && info.NumAckPending == 0
}

// held returns how many messages are held back.
func held(t *testing.T, js jetstream.JetStream) int {
	t.Helper()
	s, err := openStore(t.Context(), js, storeConfig{name: "notify"}, false)
	if err != nil {
		return 0
	}
	list, err := s.waiting(t.Context())
	if err != nil {
		t.Error(err)
	}
	n := 0
	for _, w := range list {
		if w.part == heldPart {
			n += int(w.count)
		}
	}
	return n
}
