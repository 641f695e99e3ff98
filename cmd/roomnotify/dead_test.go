package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"roomwatch/cmd/internal/program"
	"roomwatch/cmd/roomnotify/form"
	"roomwatch/diff/logtest"
)

// What is kept for a target or a rule that was renamed can be seen, sent to
// another target, and removed; what the daemon will tell is left to it.
func TestKeptForOneThatIsGone(t *testing.T) {
	b := newBench(t, benchRules)
	b.keep(deadPart, "a", "b")
	b.keep(waitingPart, "c")
	b.keep(heldPart, "d")
	if status, out := b.run("dead", "list"); status != 0 || strings.Count(out, "\n") != 2 || !strings.Contains(out, "dead     hook  new  New room: Room b  (status 410)") {
		t.Errorf("status %d:\n%s", status, out)
	}
	renamed := strings.NewReplacer("  hook:", "  hook2:", "[hook]", "[hook2]", "[hook, chat, bot]", "[hook2, chat, bot]").Replace(benchRules)
	if err := os.WriteFile(b.rules, []byte(renamed), 0o600); err != nil {
		t.Fatal(err)
	}
	status, out := b.run("check")
	for _, want := range []string{"1 held back for target hook, which is gone", "1 waiting for target hook", "2 dead letters for target hook", "resend --target hook --to TARGET"} {
		if !strings.Contains(out, want) {
			t.Errorf("status %d, %q is not in:\n%s", status, want, out)
		}
	}
	if status, out := b.run("resend"); status != 1 || !strings.Contains(out, "0 sent, 0 not accepted, 4 not sent") || !strings.Contains(out, "--to") {
		t.Errorf("resend: status %d:\n%s", status, out)
	}
	status, out = b.run("dead", "list", "--target", "hook")
	if status != 0 || strings.Count(out, "\n") != 4 {
		t.Errorf("list: status %d:\n%s", status, out)
	}
	number, _, _ := strings.Cut(out, " ")
	status, out = b.run("dead", "show", number)
	var shown struct {
		State, Reason string
		Notification  struct{ ID string }
	}
	if err := json.Unmarshal([]byte(out), &shown); status != 0 || err != nil || shown.State != "dead" || shown.Reason != "status 410" || !strings.HasSuffix(shown.Notification.ID, "_hook_new") {
		t.Errorf("show: status %d, %v:\n%s", status, err, out)
	}
	if status, out := b.run("dead", "drop", number); status != 0 || !strings.Contains(out, "1 removed") {
		t.Errorf("drop: status %d:\n%s", status, out)
	}
	if status, out := b.run("dead", "drop", number); status != 1 || !strings.Contains(out, "0 removed") {
		t.Errorf("drop again: status %d:\n%s", status, out)
	}
	if status, out := b.run("resend", "--target", "hook", "--to", "hook2"); status != 0 || !strings.Contains(out, "3 sent, 0 not accepted, 0 not sent") {
		t.Errorf("resend --to: status %d:\n%s", status, out)
	}
	if got := b.to.taken(t, ""); got != "b created; c created; d created" {
		t.Errorf("taken: %s", got)
	}
	if status, out := b.run("resend", "--target", "hook"); status != 2 || !strings.Contains(out, "nothing is kept for it") {
		t.Errorf("nothing is left: status %d:\n%s", status, out)
	}
}

// What resend does not take, and what it leaves to the daemon, is said.
func TestResendSaysWhatRemains(t *testing.T) {
	b := newBench(t, benchRules)
	b.keep(waitingPart, "a", "b")
	b.keep(heldPart, "c")
	if status, out := b.run("resend"); status != 0 || !strings.Contains(out, "0 sent") || !strings.Contains(out, "3 more are held back or wait") {
		t.Errorf("status %d:\n%s", status, out)
	}
}

// Only what is named is removed.
func TestDeadDrop(t *testing.T) {
	b := newBench(t, benchRules)
	if status, out := b.run("dead", "list"); status != 1 || !strings.Contains(out, "nothing was kept") {
		t.Errorf("status %d:\n%s", status, out)
	}
	b.keep(deadPart, "a", "b", "c")
	for _, args := range [][]string{{}, {"1", "--all"}, {"x"}, {"0"}} {
		if status, out := b.run(append([]string{"dead", "drop"}, args...)...); status != 2 {
			t.Errorf("%q: status %d:\n%s", args, status, out)
		}
	}
	if status, out := b.run("dead", "drop", "--rule", "large"); status != 0 || !strings.Contains(out, "0 removed") {
		t.Errorf("another rule: status %d:\n%s", status, out)
	}
	if rooms, _ := b.left(); fmt.Sprint(rooms) != "[a b c]" {
		t.Errorf("left are %v", rooms)
	}
	if status, out := b.run("dead", "drop", "--all"); status != 0 || !strings.Contains(out, "3 removed") {
		t.Errorf("status %d:\n%s", status, out)
	}
	if rooms, _ := b.left(); len(rooms) != 0 {
		t.Errorf("left are %v", rooms)
	}
}

// A target that is busy or down gets no more from resend, and what it did not get
// stays; one that refuses some gets the others.
func TestResendLeavesATargetAlone(t *testing.T) {
	for name, tt := range map[string]struct {
		answer   func(w http.ResponseWriter, q *http.Request) bool
		requests int
		says     string
	}{
		"busy":     {func(w http.ResponseWriter, _ *http.Request) bool { return busy(w, "600") }, 1, "0 sent, 1 not accepted, 7 not sent\na is busy: 7 were not sent to it"},
		"down":     {with(500), maxFailed * resendTries, "0 sent, 3 not accepted, 5 not sent\na is down: 5 were not sent to it"},
		"refusing": {with(400), 8, "0 sent, 8 not accepted, 0 not sent\n"},
		"now and then": {func(w http.ResponseWriter, q *http.Request) bool {
			return !isEvent(q, 3) && !isEvent(q, 6) && with(500)(w, q)
		}, 2 + 6*resendTries, "2 sent, 6 not accepted, 0 not sent\n"},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, "targets:\n"+hook("a", "")+"rules:\n  r: {"+all+", targets: [a]}\n", func(r *rig) {
				s, err := openStore(r.t.Context(), r.js, storeConfig{name: "notify", replicas: 1, maxAge: time.Hour}, true)
				if err != nil {
					t.Fatal(err)
				}
				for i := range 8 {
					if err := s.setAside(r.t.Context(), form.New(r.next(fmt.Sprintf("x%d", i)), "r", "a", 0), "status 410", 0); err != nil {
						t.Fatal(err)
					}
				}
				r.to.answers(tt.answer)
				var out strings.Builder
				again := &resending{store: s, sel: selection{file: r.file}, w: &out, outlets: map[string]*outlet{}, transport: r.transport()}
				if err := again.run(r.t.Context()); !errors.Is(err, program.ErrReported) || !strings.Contains(out.String(), tt.says) {
					t.Errorf("%v:\n%s", err, &out)
				}
				if n := len(r.to.requests("")); n != tt.requests {
					t.Errorf("%d requests, want %d", n, tt.requests)
				}
				if want := fmt.Sprintf("dead.a.r %d", 8-again.sent); r.subjects() != want {
					t.Errorf("left is %s, want %s", r.subjects(), want)
				}
			})
		})
	}
}

// What nothing uses any more, since a rule, a target or a version is gone, is told
// of by check and by the log of run, with its fix.
func TestLeftovers(t *testing.T) {
	b := newBench(t, benchRules)
	b.keep(deadPart, "a")
	for subject, body := range map[string]string{"notify.dead.hook.new.outage": "{}", "notify.place.old": `{"made":"2026-01-01T00:00:00Z"}`, "notify.place.hook": `{"made":"2026-01-01T00:00:00Z"}`} {
		if _, err := b.js.Publish(t.Context(), subject, []byte(body)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(b.rules, []byte(strings.ReplaceAll(benchRules, "new:", "newer:")), 0o600); err != nil {
		t.Fatal(err)
	}
	wants := []string{"1 on notify.dead.hook.new.outage", "nats stream purge NOTIFY --subject=notify.dead.hook.new.outage", "the position of target old", "nats consumer rm LIVE notify-old"}
	status, out := b.run("check")
	for _, want := range append(wants, "1 dead letter for hook by rule new, which is gone") {
		if status != 0 || !strings.Contains(out, want) {
			t.Errorf("check: status %d, %q is not in:\n%s", status, want, out)
		}
	}
	if strings.Contains(out, "target hook, which no rule names") {
		t.Errorf("a position that is used is called useless:\n%s", out)
	}
	cfg, file, err := configured("")
	if err != nil {
		t.Fatal(err)
	}
	log := &logtest.Buffer{}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- runDaemon(ctx, cfg, file, slog.New(slog.NewTextHandler(log, nil))) }()
	for _, want := range append(wants, `msg="notifications are kept for a target or a rule that is gone" target=hook rule=new state=dead notifications=1`) {
		waitFor(t, want, func() bool { return strings.Contains(log.String(), want) })
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
