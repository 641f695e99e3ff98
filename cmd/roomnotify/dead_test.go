package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
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
	if status, out := b.run("resend"); status != 1 || !strings.Contains(out, "0 sent, 0 not taken, 4 not sent") || !strings.Contains(out, "--to") {
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
	if status, out := b.run("resend", "--target", "hook", "--to", "hook2"); status != 0 || !strings.Contains(out, "3 sent, 0 not taken, 0 not sent") {
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
