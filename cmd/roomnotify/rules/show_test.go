package rules_test

import (
	"strings"
	"testing"

	"roomwatch/cmd/roomnotify/rules"
)

// What a service cannot show is refused with its line and the reason, and what it can is not.
func TestCoversAndLinksOfKinds(t *testing.T) {
	more := map[string]string{
		"webhook": "secret: ${HOOK_SECRET}", "telegram": "token: ${BOT_TOKEN}\n    chat: '-1'", "email": "from: a@example.org\n    to: [b@example.org]",
	}
	file := func(kind, said string) string {
		url := "${HOOK_URL}"
		if kind == "email" {
			url = "smtps://mail.example.org"
		}
		return "targets:\n  a:\n    kind: " + kind + "\n    url: " + url + "\n    " + said + "\n    " + more[kind] + "\nrules:\n  all: {events: [room.created], targets: [a]}\n"
	}
	const cover, link, both = "cover: true", "link: 'https://example.com/{{.Room.ID}}'", "link: https://example.com/\n    cover: true"
	wants := map[string]map[string]string{ // by kind: what is wrong with a cover, with a link, and with both
		"slack": {}, "discord": {},
		"wecom":        {cover: "line 5: target a: cover needs a link: wecom shows a picture only in a message that leads somewhere; write link"},
		"dingtalk":     {cover: "line 5: target a: cover needs a link: dingtalk"},
		"feishu":       {cover: "line 5: target a: cover is not for feishu: Feishu shows only pictures that were uploaded to it", both: "line 6: target a: cover is not for feishu"},
		"telegram":     {cover: "line 5: target a: cover is not for telegram: Telegram makes a preview of any page", both: "line 6: target a: cover is not for telegram"},
		"email":        {cover: "line 5: target a: cover is not for email: a letter with a picture from elsewhere", both: "line 6: target a: cover is not"},
		"webhook":      {cover: "cover is not for webhook: the generic form has it in the event", link: "line 5: target a: link is for messages: a webhook shows it only in a body", both: "link is for messages"},
		"alertmanager": {cover: "cover is not for alertmanager: an alert has no picture", link: "line 5: target a: link is for messages: an alert has generator_url", both: "generator_url"},
	}
	for _, kind := range rules.Kinds() {
		want, known := wants[kind]
		if !known {
			t.Errorf("what kind %s shows is not known", kind)
		}
		for _, said := range []string{cover, link, both} {
			f, err := parse(file(kind, said))
			switch {
			case want[said] == "" && err != nil:
				t.Errorf("%s with %s: %v", kind, said, err)
			case want[said] != "" && (err == nil || !strings.Contains(err.Error(), want[said])):
				t.Errorf("%s with %s: %v, want %s", kind, said, err, want[said])
			case err == nil && (f.Targets[0].Cover != strings.Contains(said, cover) || (f.Targets[0].Leads != nil) != strings.Contains(said, "link")):
				t.Errorf("%s with %s: %+v", kind, said, f.Targets[0].Shows)
			}
		}
	}
	if _, err := parse(file("slack", "link: 'https://{{.Room.ID}}.example/'")); err == nil || !strings.Contains(err.Error(), "line 5: target a: link, in its line 1: what it makes of a room.created has a value before the end of its host") {
		t.Errorf("a value in the host: %v", err)
	}
}
