package rules_test

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func mailFile(said string) string {
	return "targets:\n  box:\n    kind: email\n    " + strings.ReplaceAll(said, "; ", "\n    ") + "\nrules:\n  all: {events: [room.created], targets: [box]}\n"
}

const goodMail = "url: smtps://mail.example.org; from: rooms@example.org; to: [ops@example.org]"

// Each mistake of a target that gets e-mail is named with its fix.
func TestMistakesOfMail(t *testing.T) {
	for _, tt := range []struct{ name, replace, by, want string }{
		{"no url", "url: smtps://mail.example.org; ", "", "url is missing: write smtps://host"},
		{"url of the web", "smtps://", "https://", "url is not that of a mail server"},
		{"no host", "mail.example.org", ":465", "url is not that of a mail server"},
		{"a user in the url", "smtps://", "smtps://u@", "line 4: target box: url has a user"},
		{"a recipient in the url", "mail.example.org;", "mail.example.org/ops@example.org;", "recipients are written under to"},
		{"starttls over tls", "; from", "; starttls: required; from", "starttls is for smtp:// only: remove it"},
		{"starttls", "smtps://mail.example.org", "smtp://mail.example.org; starttls: maybe", `starttls is "maybe": write required, or none`},
		{"a password in the clear", "smtps://mail.example.org", "smtp://mail.example.org; starttls: none; username: u; password: ${SECRET}", "a password is not sent without TLS"},
		{"an authority without tls", "smtps://mail.example.org", "smtp://mail.example.org; starttls: none; ca_file: /run/secrets/ca.pem", "ca_file is for TLS"},
		{"proxy", "; from", "; proxy: http://proxy.example:3128; from", "proxy is for HTTP"},
		{"no proxy", "; from", "; proxy: none; from", "proxy is for HTTP"},
		{"no password", "; from", "; username: u; from", "username and password go together: write both"},
		{"token", "; from", "; token: ${TOKEN}; from", "token is for telegram, webhook and alertmanager only: remove"},
		{"headers", "; from", "; headers: {X-A: b}; from", "headers are for webhook and alertmanager only: remove"},
		{"a user of two lines", "; from", "; username: \"a\\nb\"; password: ${SECRET}; from", "username or password has more than one line"},
		{"no sender", "; from: rooms@example.org", "", "from is missing"},
		{"no recipients", "; to: [ops@example.org]", "", "to is missing"},
		{"not a list", "[ops@example.org]", "ops@example.org", "expected a list"},
		{"no address", "[ops@example.org]", "[ops@example.org, ops]", `line 6: target box: to: "ops" is not an address`},
		{"two addresses as one", "[ops@example.org]", `["ops@example.org, dev@example.org"]`, "is not an address"},
		{"a header in an address", "rooms@example.org", `"Rooms\r\n Bcc: x <rooms@example.org>"`, "from: "},
		{"a command in an address", "rooms@example.org", `'"a> SIZE=1"@example.org'`, "from: "},
		{"letters beyond ASCII", "ops@example.org", "ops@exämple.org", "xn--"},
		{"the same twice", "[ops@example.org]", `[ops@example.org, "Ops <OPS@example.org>"]`, "to has OPS@example.org twice"},
		{"too many", "[ops@example.org]", "[" + manyAddresses(51) + "]", "to has 51 addresses: write at most 50"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := parse(mailFile(strings.Replace(goodMail, tt.replace, tt.by, 1))); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %s", err, tt.want)
			}
		})
	}
	if _, err := parse(strings.Replace(good, "kind: slack", "kind: slack, to: [ops@example.org]", 1)); err == nil || !strings.Contains(err.Error(), "for email only: remove them") {
		t.Errorf("of a chat: %v", err)
	}
}

func manyAddresses(n int) string {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprintf("ops%d@example.org", i))
	}
	return strings.Join(list, ", ")
}

// Without TLS there is a warning, but for a relay on this machine, and the port is
// that of what was written.
func TestMailServers(t *testing.T) {
	for _, tt := range []struct {
		url, want string
		warns     bool
	}{
		{"smtps://mail.example.org", "mail.example.org 465 true false", false},
		{"smtps://mail.example.org:4650", "mail.example.org 4650 true false", false},
		{"smtp://mail.example.org", "mail.example.org 587 false true", false},
		{"smtp://mail.example.org:2525; starttls: required", "mail.example.org 2525 false true", false},
		{"smtp://mail.example.org; starttls: none", "mail.example.org 25 false false", true},
		{"smtp://[::1]; starttls: none", "::1 25 false false", false},
	} {
		f, err := parse(mailFile(strings.Replace(goodMail, "smtps://mail.example.org", tt.url, 1)))
		if err != nil {
			t.Errorf("%s: %v", tt.url, err)
			continue
		}
		host, port, implicit, startTLS := f.Targets[0].Server()
		if got := fmt.Sprint(host, " ", port, " ", implicit, " ", startTLS); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.url, got, tt.want)
		}
		if warns := strings.Contains(strings.Join(f.Warnings, "\n"), "reached without encryption: remove starttls"); warns != tt.warns {
			t.Errorf("%s: %v", tt.url, f.Warnings)
		}
	}
}

// What a mail server is sent for the login is hidden in each of its forms, also a
// user that stands in the file where it is not alone; the addresses are no secrets.
func TestSecretsOfMail(t *testing.T) {
	f, err := parse(mailFile(goodMail + "; username: rooms@example.org; password: ${SECRET}"))
	if err != nil {
		t.Fatal(err)
	}
	target := &f.Targets[0]
	encoded := base64.StdEncoding.EncodeToString
	for _, secret := range []string{"hush-hush", encoded([]byte("hush-hush")), encoded([]byte("\x00rooms@example.org\x00hush-hush"))} {
		if !slices.Contains(target.Secrets(), secret) {
			t.Errorf("%q is not hidden", secret)
		}
	}
	for _, open := range []string{"rooms@example.org", "ops@example.org", "smtps://mail.example.org"} {
		if slices.Contains(target.Secrets(), open) {
			t.Errorf("%q is hidden", open)
		}
	}
	if target.RequestTimeout() != 20*time.Second || target.PerMinute() != 20 || target.PerSecond() != 1 {
		t.Errorf("%s, %d a minute, %v a second", target.RequestTimeout(), target.PerMinute(), target.PerSecond())
	}
}
