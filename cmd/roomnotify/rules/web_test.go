package rules_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"roomwatch/cmd/internal/environ"
	"roomwatch/cmd/roomnotify/rules"
)

// authority is a certificate in PEM.
var authority = func() string {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}()

func hookWith(s string) string {
	return "targets:\n  team:\n    kind: webhook\n    url: https://x.example\n    body: '{\"t\": {{.Title}}}'\n    " + strings.ReplaceAll(s, "\n", "\n    ") + "\nrules:\n  all: {events: [room.created], targets: [team]}\n"
}

// What requests have besides a URL is named with its line and its fix where it is
// wrong, and never its value.
func TestMistakesOfTheWeb(t *testing.T) {
	for _, tt := range []struct{ said, want string }{
		{`headers: {X-Api-Key: hush-hush}`, "line 6: target team: headers: X-Api-Key is a secret: write ${NAME}"},
		{`headers: {authorization: "Bearer hush-hush"}`, "headers: authorization is a secret"},
		{`values: {routing_key: hush-hush}`, "values: routing_key is a secret"},
		{`headers: {X-A: "Token ${NONE}"}`, "headers: X-A: the environment has no NONE: set it, or write headers_file"},
		{`headers: {X-A: "Token ${hush-hush}"}`, "headers: X-A: a reference is written as ${NAME}"},
		{`headers: {X-A: "Token ${HOOK"}`, "headers: X-A: a reference is written as ${NAME}"},
		{`headers: {"X A": x}`, `headers: "X A" is not a name of a header`},
		{`headers: {host: x}`, "headers: Host is set by roomnotify"},
		{`headers: {WEBHOOK-ID: x}`, "headers: Webhook-Id is set by roomnotify"},
		{`headers: {x-a: one, X-A: two}`, "X-A and x-a are the same header"},
		{`headers: {X-A: "one\r\nX-B: two"}`, "the value of X-A has more than one line"},
		{"headers: {Authorization: '${TOKEN}'}\ntoken: '${TOKEN}'", "Authorization is made from token or username"},
		{"headers: {X-A: a}\nheaders_file: {X-A: /run/secrets/a}", "line 7: target team: headers and headers_file both have X-A"},
		{`headers_file: {X-A: /nowhere}`, "headers_file: X-A: file does not exist: write the path of a file"},
		{`values: {a-b: x}`, `values: "a-b": a name has letters`},
		{"username: a", "username and password go together"},
		{"password: ${SECRET}", "username and password go together"},
		{"username: a\npassword: hush-hush", "line 7: target team: password is a secret"},
		{"username: 'a:b'\npassword: ${SECRET}", "username has a colon"},
		{"username: a\npassword: ${SECRET}\ntoken: ${TOKEN}", "token and username are two ways"},
		{"proxy: ftp://x", "line 6: target team: proxy is no URL that roomnotify can use"},
		{"proxy: proxy.example:3128", "proxy is no URL that roomnotify can use"},
		{"proxy: http://a:hush-hush@x.example", "proxy is a secret"},
		{"proxy: ${BAD}", "proxy is no URL that roomnotify can use"},
		{"ca_file: /nowhere", "line 6: target team: ca_file: file does not exist: write the path of a file"},
		{"ca_file: /run/secrets/none.pem", "ca_file: /run/secrets/none.pem: it has no certificate in PEM: write the path"},
		{"body: 5", "line 6"},
	} {
		_, err := parse(hookWith(tt.said))
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: %v, want %s", tt.said, err, tt.want)
		}
	}
	for _, said := range []string{`headers: {X-A: a}`, "username: a\n    password: ${SECRET}", `body: "{}"`} {
		_, err := parse("targets:\n  team:\n    kind: slack\n    url: ${URL}\n    " + said + "\nrules:\n  all: {events: [room.created], targets: [team]}\n")
		if err == nil || !strings.Contains(err.Error(), "for webhook") {
			t.Errorf("%s of a chat: %v", said, err)
		}
	}
	if _, err := parse(strings.Replace(hookWith("values: {a: x}\nsecret: ${HOOK_SECRET}"), "    body: '{\"t\": {{.Title}}}'\n", "", 1)); err == nil || !strings.Contains(err.Error(), "values are for a body") {
		t.Errorf("values without a body: %v", err)
	}
}

// A mistake in a body is found when it is read, with its line in the body and that of
// the body in the file.
func TestMistakesOfABody(t *testing.T) {
	_, err := parse(strings.Replace(hookWith("values: {team: x}"), `'{"t": {{.Title}}}'`, "|\n      {\n      \"a\": {{.Values.team}},\n      \"b\": {{.Values.tea}}}", 1))
	if err == nil || !strings.Contains(err.Error(), `line 5: target team: body, in its line 3: <.Values.tea>: map has no entry for key "tea"`) {
		t.Errorf("%v", err)
	}
	_, err = parse(hookWith(`values: {team: "${NONE}"}`))
	if err == nil || strings.Contains(err.Error(), "body") {
		t.Errorf("a second error that is none: %v", err)
	}
	for _, said := range []string{"text: '{{.Room.Name}} is new'", "language: zh\nzone: Asia/Shanghai"} {
		if _, err := parse(hookWith(said)); err != nil {
			t.Errorf("%s: %v", said, err)
		}
	}
}

// A file of certificates that cannot be used is named with what is wrong and its fix.
func TestMistakesOfCAFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ca.pem")
	load := func() (*rules.File, error) {
		return rules.Parse([]byte(hookWith("ca_file: "+path)), rules.Source{Lookup: environment, ReadFile: environ.ReadFile})
	}
	write := func(text string, mode os.FileMode) {
		t.Helper()
		if err := errors.Join(os.WriteFile(path, []byte(text), 0o600), os.Chmod(path, mode)); err != nil {
			t.Fatal(err)
		}
	}
	wrong := func(want string) {
		t.Helper()
		_, err := load()
		if err == nil || !strings.Contains(err.Error(), "ca_file") || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), want) {
			t.Errorf("want %s: %v", want, err)
		}
	}
	wrong("no such file or directory: write the path of a file that roomnotify may read")
	if os.Geteuid() != 0 {
		write(authority, 0)
		wrong("permission denied: write the path of a file that roomnotify may read")
	}
	write("", 0o600)
	wrong("is empty")
	write("MIIB", 0o600)
	wrong("it has no certificate in PEM: write the path of a file that begins with -----BEGIN CERTIFICATE-----")
	write(strings.ReplaceAll(authority, "CERTIFICATE", "PRIVATE KEY"), 0o600)
	wrong("it has a private key, and may have only certificates")
	write(authority+"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", 0o600)
	wrong("its certificate 2 cannot be read")
	write(authority+authority, 0o600)
	f, err := load()
	if err != nil || f.Targets[0].Roots() == nil || !slices.Equal(f.Targets[0].Files(), []string{path}) {
		t.Errorf("two certificates: %v", err)
	}
	path = filepath.Dir(path)
	wrong("is a directory: write the path of a file")
}

// All that may be a secret is hidden, as it is and as it may be written; what stands
// in the rule file is not.
func TestSecretsOfTheWeb(t *testing.T) {
	f, err := parse(hookWith("headers: {X-Api-Key: \"Token ${SECRET}\", X-Team: live}\nvalues: {routing_key: \"${A_TOKEN}\"}\nusername: roomnotify\npassword: ${SECRET}\nproxy: ${PROXY}"))
	if err != nil {
		t.Fatal(err)
	}
	got := f.Targets[0].Secrets()
	for _, want := range []string{"hush-hush", "Token hush-hush", "Token+hush-hush", "Token%20hush-hush", "cm9vbW5vdGlmeTpodXNoLWh1c2g="} {
		if !slices.Contains(got, want) {
			t.Errorf("%q is not hidden: %q", want, got)
		}
	}
	for _, open := range []string{"live", "roomnotify", "Token"} {
		if slices.Contains(got, open) {
			t.Errorf("%q is hidden", open)
		}
	}
	f, err = parse(hookWith("proxy: ${URL}"))
	if err != nil {
		t.Fatal(err)
	}
	f.Targets[0].Proxy = "http://anna:hush%21@proxy.example"
	for _, want := range []string{"anna:hush%21", "hush!", "anna"} {
		if got := f.Targets[0].Secrets(); !slices.Contains(got, want) {
			t.Errorf("%q of the proxy is not hidden: %q", want, got)
		}
	}
}

// What a file holds is exchanged while roomnotify runs, also within a group.
func TestExchangedHeaders(t *testing.T) {
	f, err := parse(hookWith("headers: {X-Team: live}\nheaders_file: {X-Api-Key: /run/secrets/a}\nca_file: /run/secrets/ca.pem\nvalues_file: {b: /run/secrets/b}"))
	if err != nil {
		t.Fatal(err)
	}
	was := &f.Targets[0]
	if got := strings.Join(was.Files(), " "); got != "/run/secrets/ca.pem /run/secrets/a /run/secrets/b" {
		t.Errorf("files: %s", got)
	}
	now, err := was.With([]byte(authority), []byte("new\n"), []byte("value"))
	if err != nil || now.Headers["X-Api-Key"] != "new" || now.Headers["X-Team"] != "live" || now.Values["b"] != "value" || was.Headers["X-Api-Key"] == "new" {
		t.Errorf("%v: %v, before %v", err, now.Headers, was.Headers)
	}
	if _, err := was.With([]byte(authority), []byte("one\nhush"), []byte("value")); err == nil || strings.Contains(err.Error(), "hush") {
		t.Errorf("a value that is no header: %v", err)
	}
	if _, err := was.With([]byte("hush"), []byte("new"), []byte("value")); err == nil || strings.Contains(err.Error(), "hush") {
		t.Errorf("an authority that is none: %v", err)
	}
}

// Labels are bounded, and none of them can change while a room lives.
func TestMistakesOfAlerts(t *testing.T) {
	file := func(said string) string {
		return "targets:\n  am:\n    kind: alertmanager\n    url: http://127.0.0.1:9093\n    " + said + "\nrules:\n  all: {events: [room.created], targets: [am]}\n"
	}
	for said, want := range map[string]string{
		"labels: {room: x}": "line 5: target am: labels: room is set by roomnotify",
		"labels: {a-b: x}":  `labels: "a-b" is no name of a label`,
		"labels: {__a: x}":  `labels: "__a" is no name of a label`,
		"labels: {a: ''}":   "labels: a has a value that is empty",
		"labels: {a: " + strings.Repeat("x", 201) + "}": "longer than 200 bytes",
		"labels: {a: '{{.Room.Name}}'}":                 "labels: a is a template",
		"generator_url: rooms":                          "generator_url is \"rooms\": write https://host/path",
		"secret: ${SECRET}":                             "secret is for webhook, feishu and dingtalk only: remove it",
		"body: '{}'":                                    "body and values are for webhook only: remove them",
	} {
		if _, err := parse(file(said)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", said, err, want)
		}
	}
	many := func(n int) string {
		var list []string
		for i := range n {
			list = append(list, fmt.Sprintf("l%d: x", i))
		}
		return strings.Join(list, ", ")
	}
	ofRule := func(targetSaid, said string) string {
		return strings.Replace(file(targetSaid), "targets: [am]}", "targets: [am], "+said+"}", 1) + "  other: {events: [room.ended], targets: [am]}\n"
	}
	for said, want := range map[string]string{
		"labels: {rule: x}":                "line 7: rule all: labels: rule is set by roomnotify",
		"labels: {a-b: x}":                 `line 7: rule all: labels: "a-b" is no name of a label`,
		"labels: {a: '{{.Room.Name}}'}":    "line 7: rule all: labels: a is a template",
		"labels: {a: [x]}":                 "line 7: found a list, expected a text",
		"labels: {" + many(21) + "}":       "line 7: rule all: there are 21 labels: write at most 20",
		"labels: {" + many(19) + ", y: x}": "line 7: rule all: with the labels of target am there are 21: write at most 20",
	} {
		if _, err := parse(ofRule("labels: {z: x}", said)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", said, err, want)
		}
	}
	if _, err := parse(strings.Replace(good, "targets: [team", "labels: {a: x}, targets: [team", 1)); err == nil || !strings.Contains(err.Error(), "labels are for alertmanager, and none of its targets is one") {
		t.Errorf("a rule for chats: %v", err)
	}
	of, err := parse(ofRule("labels: {a: x, z: x}", "labels: {a: y, "+many(18)+"}"))
	if err != nil {
		t.Fatal(err)
	}
	if a := of.Targets[0].Alert(); len(a.RuleLabels) != 1 || a.RuleLabels["all"]["a"] != "y" || a.Labels["a"] != "x" {
		t.Errorf("%+v", a)
	}
	f, err := parse(file("labels: {alertname: Live, a: x}\n    ends_after: 2h\n    username: u\n    password: ${SECRET}"))
	if err != nil {
		t.Fatal(err)
	}
	if a := f.Targets[0].Alert(); a.Labels["alertname"] != "Live" || a.EndsAfter != 2*time.Hour {
		t.Errorf("%+v", a)
	}
	if _, err := parse(strings.Replace(good, "kind: slack", "kind: slack, ends_after: 1h", 1)); err == nil || !strings.Contains(err.Error(), "alertmanager alone") {
		t.Errorf("of a chat: %v", err)
	}
}
