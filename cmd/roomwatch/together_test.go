package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"roomwatch/diff/logtest"
	"roomwatch/poller/simulator"
	"roomwatch/publisher/natstest"
)

const (
	togetherFor   = time.Minute
	webhookSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
)

// A receiver is somebody's webhook. It refuses what is not signed, and now and
// then takes something and fails before it says so.
type receiver struct {
	t    *testing.T
	hook *standardwebhooks.Webhook

	mu    sync.Mutex
	rng   *rand.Rand
	ids   map[string]string // event → the id of its notification
	body  map[string][]byte // id → what it said
	taken map[string]bool   // events that were answered with success
	again int               // notifications that came again
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	hook, err := standardwebhooks.NewWebhook(webhookSecret)
	if err != nil {
		t.Fatal(err)
	}
	return &receiver{t: t, hook: hook, rng: rand.New(rand.NewPCG(5, 6)), ids: map[string]string{}, body: map[string][]byte{}, taken: map[string]bool{}}
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return // it was killed
	}
	if err := r.hook.Verify(body, req.Header); err != nil {
		r.t.Errorf("signature: %v", err)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	var n struct {
		Data struct{ Event struct{ ID string } }
	}
	if err := json.Unmarshal(body, &n); err != nil || n.Data.Event.ID == "" {
		r.t.Errorf("notification %s: %v", body, err)
	}
	id, event := req.Header.Get("webhook-id"), n.Data.Event.ID
	r.mu.Lock()
	defer r.mu.Unlock()
	if before, known := r.ids[event]; known {
		r.again++
		if before != id || !bytes.Equal(r.body[id], body) {
			r.t.Errorf("event %s came as %s and again as %s: %s", event, before, id, body)
		}
	}
	r.ids[event], r.body[id] = id, body
	if r.rng.IntN(20) == 0 {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	r.taken[event] = true
}

// lacks returns the events that the receiver has not accepted.
func (r *receiver) lacks(want []string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(want), func(id string) bool { return r.taken[id] })
}

// A victim is a program that is killed and started again.
type victim struct {
	bin   string
	env   []string
	p     *daemonProcess
	lives []*logtest.Buffer // what it said in each
}

func (v *victim) restart(t *testing.T) {
	t.Helper()
	if v.p != nil {
		v.p.kill()
	}
	v.p = startBinary(t, v.bin, v.env, "run")
	v.lives = append(v.lives, v.p.output)
}

// TestEverythingTogether lets the daemon, a cluster, roomnotify and roomaudit
// work together for a minute, and kills each of them at random. At the end the
// stream is the truth, every notification came, each always with the same id, the audit
// trail has the stream event for event, and both checks find nothing.
func TestEverythingTogether(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute")
	}
	t.Parallel()
	bins := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", bins, "roomwatch/cmd/roomwatch", "roomwatch/cmd/roomnotify", "roomwatch/cmd/roomaudit").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	r, c := newClusterRig(t, simulator.Config{Seed: 8, Rooms: 80, Opens: 3, Enters: 30, Recreates: 0.3, Quota: -1, Next: simulator.NextRank})
	to := newReceiver(t)
	web := httptest.NewServer(to)
	defer web.Close()
	rules := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(rules, []byte("targets:\n  hook: {kind: webhook, url: \"${HOOK_URL}\", secret: \"${HOOK_SECRET}\"}\nrules:\n  all: {events: [room.created, room.ended], targets: [hook]}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	auditEnv := []string{"NATS_URL=" + c.URL(), "ROOMAUDIT_HTTP_ADDR=off", "ROOMAUDIT_DIR=" + t.TempDir(), "ROOMAUDIT_MAX_FILE_BYTES=200000"}
	victims := []*victim{
		{bin: filepath.Join(bins, "roomwatch"), env: r.env(t.TempDir(), "NATS_URL="+c.URL(), "ROOMWATCH_STREAM_REPLICAS=3")},
		{bin: filepath.Join(bins, "roomnotify"), env: []string{
			"NATS_URL=" + c.URL(), "ROOMNOTIFY_RULES=" + rules, "ROOMNOTIFY_STREAM_REPLICAS=3", "HOOK_URL=" + web.URL, "HOOK_SECRET=" + webhookSecret,
		}},
		{bin: filepath.Join(bins, "roomaudit"), env: auditEnv},
	}
	for _, v := range victims {
		v.restart(t)
	}
	var told []string
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("not accepted of %d notifications:", len(told))
			for _, id := range to.lacks(told) {
				t.Logf("%s, tried: %t", id, to.ids[id] != "")
			}
			for _, v := range victims {
				t.Logf("%s said in its lives:", filepath.Base(v.bin))
				for _, said := range v.lives {
					t.Logf("\n%s", said)
				}
			}
		}
	})
	eventually(t, "events", func() bool { return c.Messages("LIVE") > 80 })
	// roomnotify tells what happens from its first start on.
	eventually(t, "a place of roomnotify in the events", func() bool { return hasConsumer(t, r.nc, "notify-hook") })
	ready := time.Now()
	nodes := killAtRandom(t, c, victims)

	eventually(t, "a cluster that answers", func() bool { return answers(t, r.nc) })
	events := settle(t, r.nc, r.world)
	for _, e := range events {
		if e.Time.After(ready) && e.Type != "viewcount.changed" {
			told = append(told, e.ID)
		}
	}
	eventually(t, "every notification", func() bool { return len(to.lacks(told)) == 0 })
	query := func() []string { return recordedEvents(t, filepath.Join(bins, "roomaudit"), auditEnv) }
	eventually(t, "every event on record", func() bool { return len(query()) >= len(events) })
	for i, id := range query() {
		if i >= len(events) || events[i].ID != id {
			t.Fatalf("event %d on record is %s, the stream has %d", i, id, len(events))
		}
	}
	for _, v := range victims {
		if status := v.p.stop(); status != 0 {
			t.Errorf("%s: exit status %d", filepath.Base(v.bin), status)
		}
	}
	for _, check := range []*victim{victims[0], victims[2]} {
		v := startBinary(t, check.bin, check.env, "verify")
		if status := v.wait(30 * time.Second); status != 0 {
			t.Errorf("%s verify: exit status %d:\n%s", filepath.Base(check.bin), status, v.output)
		}
	}
	t.Logf("killed: roomwatch %d, roomnotify %d, roomaudit %d, nodes %d times; %d events: %s; %d notifications, %d came again",
		len(victims[0].lives)-1, len(victims[1].lives)-1, len(victims[2].lives)-1, nodes, len(events), count(events), len(told), to.again)
}

// killAtRandom kills programs and takes nodes away until the time is over. At
// the end all are there. It returns how many nodes it took away.
func killAtRandom(t *testing.T, c *natstest.Cluster, victims []*victim) (nodes int) {
	t.Helper()
	rng := rand.New(rand.NewPCG(11, 12))
	for began := time.Now(); time.Since(began) < togetherFor; {
		<-time.After(time.Duration(rng.IntN(2000)) * time.Millisecond)
		i := rng.IntN(len(victims) + 1)
		if i < len(victims) {
			victims[i].restart(t)
			continue
		}
		nodes++
		n := rng.IntN(natstest.Nodes)
		c.Stop(n)
		<-time.After(time.Duration(rng.IntN(2000)) * time.Millisecond)
		victims[rng.IntN(len(victims))].restart(t)
		c.Start(n)
		eventually(t, "a stream that has a leader", func() bool { return c.Messages("LIVE") > 0 })
	}
	return nodes
}

func hasConsumer(t *testing.T, nc *nats.Conn, name string) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	_, err = js.Consumer(ctx, "LIVE", name)
	return err == nil
}

// recordedEvents returns the ids of the events of rooms that roomaudit has on record.
func recordedEvents(t *testing.T, bin string, env []string) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), bin, "query", "--format", "json")
	cmd.Env = env
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("query: %v: %s", err, errs.String())
	}
	var ids []string
	for line := range bytes.Lines(out) {
		var l struct{ Event struct{ ID string } }
		if err := json.Unmarshal(line, &l); err != nil {
			t.Fatalf("query: %s: %v", line, err)
		}
		ids = append(ids, l.Event.ID)
	}
	return ids
}
