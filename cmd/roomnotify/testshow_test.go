package main

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"roomwatch/cmd/roomnotify/form"
)

const showRules = `targets:
  hook: {kind: webhook, url: "${HOOK_URL}", secret: "${HOOK_SECRET}"}
  chat: {kind: discord, url: "${HOOK_URL}"}
  bot: {kind: telegram, url: "${HOOK_URL}", token: "${BOT_TOKEN}", chat: "-100", language: zh}
  lark: {kind: feishu, url: "${HOOK_URL}", secret: "${BOT_TOKEN}"}
  pager:
    kind: webhook
    url: "${HOOK_URL}"
    values: {routing_key: "${BOT_TOKEN}", team: live}
    headers: {Authorization: "Token ${BOT_TOKEN}"}
    body: |
      {"cut": "{{slice .Values.routing_key 4}}", "key": {{.Values.routing_key}}, "team": {{.Values.team}}, "type": {{.Type}}, "title": {{.Title}}, "lines": {{.Lines}}}
rules:
  all: {events: [room.created, room.ended, room.updated, room.hidden, room.shown], milestones: [1000], watch: true, targets: [hook, chat, bot, lark, pager]}
  ends: {events: [room.ended], targets: [hook]}
  watch: {watch: true, targets: [chat]}
`

// A time on the whole second has no fraction.
var digits = regexp.MustCompile(`[0-9]+(\.[0-9]+)*`)

// sameJSON is JSON without spaces and numbers: those of two examples differ in their times.
func sameJSON(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Compact(&b, []byte(text)); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return digits.ReplaceAllString(b.String(), "0")
}

// What `test --show` prints is what `test` sends, of each type and to each kind,
// but for the secrets; and nothing is sent for it.
func TestShowIsWhatIsSent(t *testing.T) {
	b := newBench(t, showRules)
	b.to.plain = true // the pager signs nothing
	for _, kind := range append(form.EventTypes(), "milestone", form.WatchStopped, form.WatchResumed, form.Summary) {
		for target, head := range map[string]string{"hook": "webhook", "chat": "discord", "bot": "telegram", "lark": "feishu", "pager": "webhook"} {
			before := len(b.to.requests(""))
			status, out := b.run("test", "--rule", "all", "--target", target, "--event", kind, "--show")
			line, shown, _ := strings.Cut(out, "\n")
			if status != 0 || !strings.HasPrefix(line, target+": "+head+" at 127.0.0.1:") || len(b.to.requests("")) != before {
				t.Fatalf("%s: %s: status %d, %d requests:\n%s", target, kind, status, len(b.to.requests(""))-before, out)
			}
			if status, out := b.run("test", "--rule", "all", "--target", target, "--event", kind); status != 0 {
				t.Fatalf("%s: %s: status %d:\n%s", target, kind, status, out)
			}
			sent := sameJSON(t, b.to.requests("")[before].body)
			shown = sameJSON(t, shown)
			switch target {
			case "lark": // its signature lets whoever has it send for an hour
				sign := regexp.MustCompile(`"sign":"[^"]+"`)
				if !strings.Contains(shown, `"sign":"(secret)"`) {
					t.Errorf("shown with its signature: %s", shown)
				}
				sent, shown = sign.ReplaceAllString(sent, ""), sign.ReplaceAllString(shown, "")
			case "pager": // 123:token-hush
				sent = strings.Replace(strings.Replace(sent, `"0:token-hush"`, `"(secret)"`, 1), `"token-hush"`, `"ret)"`, 1)
			}
			if shown != sent {
				t.Errorf("%s: %s:\nshown %s\nsent  %s", target, kind, shown, sent)
			}
		}
	}
}

// The example that somebody chooses is one that the rule can tell.
func TestChosenExample(t *testing.T) {
	b := newBench(t, showRules)
	for _, tt := range []struct {
		args []string
		want string // in the only request that is sent; after a status, in the output
	}{
		{[]string{"--rule", "ends"}, `"type":"room.ended"`},
		{[]string{"--rule", "watch"}, "Nobody watches application 88888888"},
		{[]string{"--rule", "watch", "--event", "watch.resumed"}, "Application 88888888 is watched again"},
		{[]string{"--rule", "watch", "--event", "digest"}, "Application 88888888 is watched again"},
		{[]string{"--rule", "ends", "--event", "digest"}, `"RoomId":"example-2"`},
		{[]string{"--rule", "all", "--target", "hook", "--event", "milestone"}, `"type":"room.milestone"`},
		{[]string{"--rule", "all", "--target", "chat", "--event", "room.updated"}, "The name before"},
	} {
		before := len(b.to.requests(""))
		status, out := b.run(append([]string{"test"}, tt.args...)...)
		got := b.to.requests("")[before:]
		if status != 0 || len(got) != 1 || !strings.Contains(strings.ReplaceAll(got[0].body, `\\`, ""), tt.want) {
			t.Errorf("%v: status %d:\n%s%+v", tt.args, status, out, got)
		}
	}
	before := len(b.to.requests(""))
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"--rule", "ends", "--event", "room.created"}, `rule ends tells no "room.created": choose --event from room.ended, digest`},
		{[]string{"--rule", "watch", "--event", "x", "--show"}, "choose --event from watch.stopped, watch.resumed, digest"},
		{[]string{"--rule", "all", "--event", "x"}, "choose --event from room.created, room.ended, room.updated, room.hidden, room.shown, milestone, watch.stopped, watch.resumed, digest"},
		{[]string{"--since", "24h", "--show"}, "use one of them"},
		{[]string{"--since", "24h", "--event", "digest"}, "use one of them"},
		{[]string{"--show"}, "say with --rule"},
	} {
		if status, out := b.run(append([]string{"test"}, tt.args...)...); status != 2 || !strings.Contains(out, tt.want) {
			t.Errorf("%v: status %d:\n%s", tt.args, status, out)
		}
	}
	if n := len(b.to.requests("")) - before; n != 0 {
		t.Errorf("mistakes have sent %d", n)
	}
}

// Of a letter, its addresses, subject and text are shown.
func TestShownLetter(t *testing.T) {
	b, p := mailBench(t)
	status, out := b.run("test", "--rule", "news", "--show")
	const want = "From: Rooms <rooms@example.org>\nTo: ops@example.org, On call <call@example.org>\nSubject: [test] New room: An example of roomnotify\n\nOwner: nobody\n"
	if status != 0 || !strings.Contains(out, want) || len(p.taken()) != 0 {
		t.Errorf("status %d, %d letters:\n%s", status, len(p.taken()), out)
	}
}
