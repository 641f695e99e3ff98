package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/cmd/roomnotify/form"
	"roomwatch/publisher/events"
	"roomwatch/publisher/natstest"
)

// A bench has a JetStream server, a receiver and a rule file outside any bubble.
type bench struct {
	t     *testing.T
	js    jetstream.JetStream
	to    *receiver
	url   string // of NATS
	in    string // the JetStream domain
	hook  string // of the receiver
	rules string // path of the file
}

func newBench(t *testing.T, file string) *bench {
	t.Helper()
	srv := natstest.Start(t, nil)
	nc, err := nats.Connect(srv.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	b := &bench{t: t, to: &receiver{t: t}, url: srv.ClientURL(), rules: filepath.Join(t.TempDir(), "rules.yaml")}
	b.js = natstest.Live(t, nc)
	server := httptest.NewServer(b.to)
	t.Cleanup(server.Close)
	b.hook = server.URL + "/path-hush"
	if err := os.WriteFile(b.rules, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bench) env() []string {
	return []string{"NATS_URL=" + b.url, "NATS_JS_DOMAIN=" + b.in, "ROOMNOTIFY_HTTP_ADDR=off", "ROOMNOTIFY_RULES=" + b.rules, "HOOK_URL=" + b.hook, "HOOK_SECRET=" + hookSecret, "BOT_TOKEN=123:token-hush"}
}

// run runs a command and returns its exit status and all its output.
func (b *bench) run(args ...string) (int, string) {
	b.t.Helper()
	for _, f := range reflect.VisibleFields(reflect.TypeFor[config]()) {
		if !f.Anonymous {
			b.t.Setenv(f.Tag.Get("envconfig"), "")
		}
	}
	for _, kv := range b.env() {
		k, v, _ := strings.Cut(kv, "=")
		b.t.Setenv(k, v)
	}
	ctx, cancel := context.WithTimeout(b.t.Context(), 20*time.Second)
	defer cancel()
	var out bytes.Buffer
	status := run(ctx, args, &out, &out)
	if strings.Contains(out.String(), "hush") || strings.Contains(out.String(), hookSecret) {
		b.t.Errorf("a secret is in the output of %s:\n%s", args, &out)
	}
	return status, out.String()
}

const benchRules = `targets:
  hook: {kind: webhook, url: "${HOOK_URL}", secret: "${HOOK_SECRET}"}
  chat: {kind: discord, url: "${HOOK_URL}"}
  bot: {kind: telegram, url: "${HOOK_URL}", token: "${BOT_TOKEN}", chat: "-100"}
rules:
  new: {events: [room.created], targets: [hook, chat, bot]}
  large: {milestones: [1000], targets: [hook]}
`

// test sends one example to each target, marked as one, or says why not.
func TestTestCommand(t *testing.T) {
	b := newBench(t, benchRules)
	status, out := b.run("test", "--rule", "new")
	if status != 0 || strings.Count(out, "  ok  ") != 3 {
		t.Errorf("status %d:\n%s", status, out)
	}
	got := b.to.requests("")
	if len(got) != 3 {
		t.Fatalf("%d requests, want 3", len(got))
	}
	marked := 0
	for _, q := range got {
		if strings.Contains(q.body, `"test":true`) || strings.Contains(q.body, "[test]") || strings.Contains(q.body, `\\[test\\]`) {
			marked++
		}
	}
	if marked != 3 {
		t.Errorf("%d of 3 are marked as a test: %v", marked, got)
	}
	if status, out := b.run("test", "--rule", "large", "--target", "hook"); status != 0 || !strings.Contains(b.to.requests("")[3].body, `"milestone":1000`) {
		t.Errorf("status %d:\n%s", status, out)
	}
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"test"}, "rule"},
		{[]string{"test", "--rule", "nwe"}, "choose from large, new"},
		{[]string{"test", "--rule", "large", "--target", "chat"}, "choose from hook"},
	} {
		if status, out := b.run(tt.args...); status == 0 || !strings.Contains(out, tt.want) {
			t.Errorf("%v: status %d:\n%s", tt.args, status, out)
		}
	}
	// A service that repeats what it was sent tells no secret either.
	b.to.answers(func(w http.ResponseWriter, r *http.Request) bool {
		// The bound of what is shown falls into the middle of the secret.
		if strings.Contains(r.Header.Get("webhook-id"), "_hook_") {
			http.Error(w, strings.Repeat("x", 194)+r.URL.Path, http.StatusForbidden)
			return true
		}
		http.Error(w, "no "+r.URL.Path+" "+r.Header.Get("webhook-signature"), http.StatusForbidden)
		return true
	})
	status, out = b.run("test", "--rule", "new")
	if status != 1 || strings.Count(out, "FAILED") != 3 || !strings.Contains(out, "status 403") || strings.Contains(out, "/path") {
		t.Errorf("status %d:\n%s", status, out)
	}
}

// test shows the text of a rule as the chat will see it.
func TestTestCommandShowsTheText(t *testing.T) {
	b := newBench(t, strings.Replace(benchRules, "targets: [hook, chat, bot]}", "targets: [hook, chat, bot], text: \"Come to {{.Room.ID}}\"}", 1))
	if status, out := b.run("test", "--rule", "new", "--target", "bot"); status != 0 {
		t.Errorf("status %d:\n%s", status, out)
	}
	if got := b.to.requests(""); len(got) != 1 || !strings.Contains(got[0].body, "[test] Come to example") {
		t.Errorf("sent: %+v", got)
	}
}

// A target that nobody answers for is named by its host alone.
func TestErrorsHaveNoURL(t *testing.T) {
	b := newBench(t, benchRules)
	b.hook = "http://127.0.0.1:1/path-hush?key=query-hush"
	status, out := b.run("test", "--rule", "new")
	if status != 1 || strings.Count(out, "127.0.0.1:1: dial tcp 127.0.0.1:1: connect: connection refused") != 3 {
		t.Errorf("status %d:\n%s", status, out)
	}
}

// keep puts a notification of each room into the store, as dead or waiting.
func (b *bench) keep(part string, rooms ...string) {
	b.t.Helper()
	s, err := openStore(b.t.Context(), b.js, storeConfig{name: "notify", replicas: 1, maxAge: time.Hour}, true)
	if err != nil {
		b.t.Fatal(err)
	}
	for i, room := range rooms {
		e := roomEvent(uint64(i+1), room, time.Now())
		if _, err := s.keep(b.t.Context(), s.subject(part, "hook", "new"), "status 410", form.New(e, "new", "hook", 0), 0); err != nil {
			b.t.Fatal(err)
		}
	}
}

// left returns the rooms of the dead letters that are still there, and the reason of the last.
func (b *bench) left() (rooms []string, reason string) {
	b.t.Helper()
	s, err := openStore(b.t.Context(), b.js, storeConfig{name: "notify"}, false)
	if err != nil {
		b.t.Fatal(err)
	}
	for from := uint64(0); ; {
		l, err := s.next(b.t.Context(), "notify.dead.>", from)
		if err != nil {
			b.t.Fatal(err)
		}
		if l == nil {
			return rooms, reason
		}
		rooms, reason, from = append(rooms, l.n.Event.Data.Room.RoomID), l.reason, l.seq+1
	}
}

// resend sends dead letters with the ids they had, and removes those that were taken.
func TestResend(t *testing.T) {
	b := newBench(t, benchRules)
	if status, out := b.run("resend"); status != 1 || !strings.Contains(out, "nothing was kept") {
		t.Errorf("status %d:\n%s", status, out)
	}
	b.keep(deadPart, "a", "b", "c")
	b.to.answers(func(w http.ResponseWriter, r *http.Request) bool {
		if strings.Contains(r.Header.Get("webhook-id"), "-0000000000000002_") {
			w.WriteHeader(http.StatusGone)
			return true
		}
		return false
	})
	status, out := b.run("resend")
	if status != 1 || !strings.Contains(out, "2 sent, 1 not accepted") || !strings.Contains(out, "status 410") {
		t.Errorf("status %d:\n%s", status, out)
	}
	if rooms, reason := b.left(); fmt.Sprint(rooms) != "[b]" || reason != "status 410" {
		t.Errorf("left are %v, for %q", rooms, reason)
	}
	if got := b.to.taken(t, ""); got != "a created; c created" {
		t.Errorf("taken: %s", got)
	}
	b.to.answers(nil)
	if status, out := b.run("resend", "--target", "chat"); status != 0 || !strings.Contains(out, "0 sent") {
		t.Errorf("another target: status %d:\n%s", status, out)
	}
	if status, out := b.run("resend", "--rule", "large"); status != 0 || !strings.Contains(out, "0 sent") {
		t.Errorf("another rule: status %d:\n%s", status, out)
	}
	if status, out := b.run("resend", "--target", "x"); status != 2 {
		t.Errorf("no such target: status %d:\n%s", status, out)
	}
	if status, out := b.run("resend", "--target", "hook", "--rule", "new"); status != 0 || !strings.Contains(out, "1 sent, 0 not accepted") {
		t.Errorf("status %d:\n%s", status, out)
	}
	if rooms, _ := b.left(); len(rooms) != 0 {
		t.Errorf("left are %v", rooms)
	}
}

// check says how things are, and makes nothing.
func TestCheck(t *testing.T) {
	b := newBench(t, benchRules)
	status, out := b.run("check")
	for _, want := range []string{"2 rules, 3 targets", "hook: webhook at 127.0.0.1", "any number a minute", "chat: discord at", "25 a minute", "stream LIVE has 0 messages", "stream NOTIFY does not exist yet"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in:\n%s", want, out)
		}
	}
	if _, err := b.js.Stream(t.Context(), "NOTIFY"); status != 0 || err == nil {
		t.Errorf("status %d, and the stream was made: %t", status, err == nil)
	}
	b.keep(deadPart, "a", "b")
	b.keep(waitingPart, "c")
	if status, out := b.run("check"); status != 0 || !strings.Contains(out, "WARN    2 dead letters for hook by rule new") || !strings.Contains(out, "1 waits until hook is up, by rule new") {
		t.Errorf("status %d:\n%s", status, out)
	}
	if err := os.WriteFile(b.rules, []byte(benchRules+"  x: {evnts: []}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"check", "run"} {
		if status, out := b.run(command); status == 0 || !strings.Contains(out, `line 8: "evnts" is unknown in a rule; known are`) {
			t.Errorf("%s: status %d:\n%s", command, status, out)
		}
	}
}

// A target to which nothing connects is no target that is ok, and nothing is sent
// to one that is.
func TestCheckReachesTargets(t *testing.T) {
	b := newBench(t, benchRules)
	if status, out := b.run("check"); status != 0 || len(b.to.requests("")) != 0 {
		t.Errorf("status %d, %d requests:\n%s", status, len(b.to.requests("")), out)
	}
	b.hook = "http://127.0.0.1:1/path-hush?key=query-hush"
	if status, out := b.run("check"); status != 1 || strings.Count(out, "at 127.0.0.1:1: dial tcp 127.0.0.1:1: connect: connection refused") != 3 || strings.Contains(out, "target     ok") {
		t.Errorf("status %d:\n%s", status, out)
	}
	plain := strings.Replace(b.hook, ":1/", ":"+strings.Split(b.url, ":")[2]+"/", 1) // NATS speaks no TLS there
	b.hook = strings.Replace(plain, "http:", "https:", 1)
	if status, out := b.run("check"); status != 1 || !strings.Contains(out, "tls: ") {
		t.Errorf("status %d:\n%s", status, out)
	}
}

// A stream that cannot keep things is refused, with the fix.
func TestUnfitStream(t *testing.T) {
	b := newBench(t, benchRules)
	if _, err := b.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "NOTIFY", Subjects: []string{"notify.>"}, DenyPurge: true}); err != nil {
		t.Fatal(err)
	}
	if status, out := b.run("run"); status != 2 || !strings.Contains(out, "purged") {
		t.Errorf("status %d:\n%s", status, out)
	}
}

// help config has every variable, and the README each of roomnotify's own.
func TestHelpConfigIsComplete(t *testing.T) {
	b := newBench(t, benchRules)
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, out := b.run("help", "config")
	for _, f := range reflect.VisibleFields(reflect.TypeFor[config]()) {
		name := f.Tag.Get("envconfig")
		if !f.Anonymous && !strings.Contains(out, name+" ") {
			t.Errorf("help config lacks %s", name)
		}
		preset := f.Tag.Get("default")
		if preset != "" {
			preset = "`" + preset + "` "
		}
		if strings.HasPrefix(name, "ROOMNOTIFY_") && !strings.Contains(string(readme), "| `"+name+"` | "+preset+"|") {
			t.Errorf("the README lacks %s", name)
		}
	}
	if status, out := b.run("help", "rules"); status != 0 || !strings.Contains(out, "milestones:") {
		t.Errorf("status %d:\n%s", status, out)
	}
	if status, out := b.run("version"); status != 0 || !strings.HasPrefix(out, "roomnotify ") {
		t.Errorf("status %d:\n%s", status, out)
	}
}

// An example is an event as roomwatch writes it.
func TestExampleIsAnEvent(t *testing.T) {
	f := parseRules(t, strings.ReplaceAll(benchRules, "${BOT_TOKEN}", "${HOOK_SECRET}"))
	all := f.Rules[0]
	all.Events, all.Milestones = form.EventTypes(), []int64{1000}
	for _, r := range append(f.Rules, all) {
		for _, kind := range examplesOf(&r) {
			n := example(&r, kind, "hook", time.Now())
			items := []form.Notification{n}
			if n.Digest != nil {
				items = n.Digest.Items
			}
			for _, i := range items {
				body, err := events.Encode(*i.Event)
				if err == nil {
					_, err = events.Decode(body)
				}
				if err != nil {
					t.Errorf("%s: %s: %v", r.Name, kind, err)
				}
			}
		}
	}
}

// A mistake on the command line ends with the status of what requires operator action.
func TestMistakesOnTheCommandLine(t *testing.T) {
	b := newBench(t, benchRules)
	for _, tt := range []struct {
		args []string
		want string
	}{
		{args: []string{"run", "--bogus"}, want: "unknown flag: --bogus"},
		{args: []string{"test"}, want: "say with --rule"},
		{args: []string{"test", "--rule", "none"}, want: `there is no rule "none"`},
		{args: []string{"resend", "x"}, want: "write `roomnotify resend"},
		{args: []string{"walk"}, want: "unknown command"},
	} {
		if status, out := b.run(tt.args...); status != 2 || !strings.Contains(out, tt.want) {
			t.Errorf("%q: status %d, want 2 and %q:\n%s", tt.args, status, tt.want, out)
		}
	}
}
