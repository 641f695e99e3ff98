package form_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"roomwatch/cmd/roomnotify/form"
	"roomwatch/publisher/events"
)

// withBody returns a webhook with a body of its own.
func withBody(t testing.TB, text string, values map[string]string) form.Target {
	t.Helper()
	b, err := form.ParseBody(text, values)
	if err != nil {
		t.Fatal(err)
	}
	return form.Target{Kind: "webhook", URL: "https://x.example", Secret: secret, Body: b, Values: values}
}

// sent returns the body that a notification becomes.
func sent(t testing.TB, to form.Target, n form.Notification) (http.Header, string) {
	t.Helper()
	req, err := to.Request(t.Context(), n, now)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(req.Body)
	if err != nil {
		t.Fatal(err)
	}
	return req.Header, string(b)
}

// Values are written as JSON, and as a part of a text between quotes.
func TestBodies(t *testing.T) {
	room := events.Room{RoomID: `a"b\c`, RoomName: "", OwnerAccount: "", Category: []int64{1, 2}, CreateTime: 1700000000, ViewCount: 12345}
	values := map[string]string{"key": `k"ey`}
	for text, want := range map[string]string{
		`{"a": {{.Room.ID}}}`:                                     `{"a": "a\"b\\c"}`,
		`{"a": "<{{.Room.ID}}>"}`:                                 `{"a": "<a\"b\\c>"}`,
		`{"a": "{{.Room.ID}}{{.Room.Views}}"}`:                    `{"a": "a\"b\\c12345"}`,
		`{"a": "\"{{.Room.Views}}\\{{.Rule}}\""}`:                 `{"a": "\"12345\\r\""}`,
		`[{{.Room.Views}}, {{.Room.Categories}}, {{.Test}}]`:      `[12345, [1,2], false]`,
		`["{{.Room.Categories}}", "{{.Test}}", "{{.Milestone}}"]`: `["[1,2]", "false", "0"]`,
		`[{{.Time}}, "at {{.Time}}", {{.Room.Created}}]`:          `["2023-11-14T23:13:20Z", "at 2023-11-14T23:13:20Z", "2023-11-14T22:13:20Z"]`,
		`[{{.Lasted}}, "{{.Lasted}}"]`:                            `[3600, "3600"]`,
		`{{.Values.key}}`:                                         `"k\"ey"`,
		`{ {{- range $i, $c := .Room.Categories}}{{if $i}}, {{end}}"{{$c}}": true{{end -}} }`: `{"1": true, "2": true}`,
		`{{define "x"}}"{{.Room.ID}}"{{end}}[{{template "x" .}}]`:                             `["a\"b\\c"]`,
		`{{$x := .Room.ID}}[{{$x | printf "%s!"}}]`:                                           `["a\"b\\c!"]`,
		`{{with .Room.Owner}}{{.}}{{else}}null{{end}}`:                                        `null`,
		`[{{.Key}}, {{.ID}}, {{.App}}, {{.Target}}]`:                                          `["7/a\"b\\c@1700000000", "A-1_a_r", 7, "a"]`,
		`[{{.Title}}, {{count .Room.Views}}, "{{"\""}}"]`:                                     `["Room ended: a\"b\\c", "12,345", "\""]`,
		`{{(in "Asia/Shanghai" .Time).Format "15:04"}}`:                                       `"07:13"`,
		`{{markdown "*a* b.com"}}`:                                                            "\"\\\\*a\\\\* b.\u2060com\"",
	} {
		e := events.Event{ID: "A-1", Type: events.RoomEnded, Source: "/live/7", Time: time.Unix(1700003600, 0), Data: events.Data{Room: room}}
		if _, got := sent(t, withBody(t, text, values), form.New(e, "r", "a", 0)); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}

// The event is the one that the stream has; the text is that of a chat, in the
// target's own words if it has some.
func TestBodyWithTheEventAndAText(t *testing.T) {
	to := withBody(t, `{"event": {{.Event}}, "title": {{.Title}}, "text": {{.Text}}, "lines": {{.Lines}}}`, nil)
	var v struct {
		Event       json.RawMessage
		Title, Text string
		Lines       []string
	}
	_, got := sent(t, to, form.New(event(events.RoomCreated, hostile), "r", "t", 0))
	if err := json.Unmarshal([]byte(got), &v); err != nil {
		t.Fatal(err)
	}
	e, err := events.Decode(v.Event)
	if err != nil || e.Data.Room.RoomName != hostile || !strings.HasPrefix(v.Title, "New room: a second<!channel>") || !strings.Contains(v.Text, "Owner: bren\nViews: 1,000\n") || strings.Join(v.Lines, "\n") != v.Text {
		t.Errorf("%v: %s", err, got)
	}
	own, err := form.ParseText("{{.Room.ID}} is new")
	if err != nil {
		t.Fatal(err)
	}
	to.Texts = map[string]*form.Text{"r": own}
	n := form.New(event(events.RoomCreated, hostile), "r", "t", 0)
	n.Test = true
	if _, got := sent(t, to, n); !strings.Contains(got, `"title": "[test] room.1 is new"`) {
		t.Errorf("its own text: %s", got)
	}
}

// A digest has all its notifications, each with the key of its room.
func TestBodyOfADigest(t *testing.T) {
	to := withBody(t, `{"type": {{.Type}}, "n": {{.Total}}, "title": {{.Title}}, "key": {{.Key}}, "items": [{{range $i, $n := .Items}}{{if $i}}, {{end}}{"key": {{.Key}}, "name": {{.Room.Name}}, "title": {{.Title}}}{{end}}]}`, nil)
	var v struct {
		Type, Title, Key string
		N                int
		Items            []struct{ Key, Name, Title string }
	}
	_, got := sent(t, to, digest(3))
	if err := json.Unmarshal([]byte(got), &v); err != nil {
		t.Fatal(err)
	}
	one := form.Key(*digest(3).Digest.Items[0].Event)
	if v.Type != "digest" || v.N != 3 || len(v.Items) != 3 || v.Items[2].Key != one || !strings.HasPrefix(v.Items[2].Name, "room 2 a") || !strings.HasPrefix(v.Title, "Held back: 2 new rooms") || v.Key != digest(3).ID {
		t.Errorf("%s", got)
	}
}

// A body tells of the watch, too; stop and resumption have one key.
func TestBodyOfTheWatch(t *testing.T) {
	to := withBody(t, `[{{.Type}}, {{.Key}}, {{.App}}, {{with .Watch}}{{.Why}}{{else}}null{{end}}, {{.Room.ID}}]`, nil)
	w := form.Watch{App: 7, Since: now, Why: form.Silent}
	_, stopped := sent(t, to, form.NewWatch(w, "r", "a", now))
	w.Until = now.Add(time.Hour)
	_, resumed := sent(t, to, form.NewWatch(w, "r", "a", now))
	if stopped != `["watch.stopped", "7/watch", 7, "silent", ""]` || resumed != `["watch.resumed", "7/watch", 7, "silent", ""]` {
		t.Errorf("%s, %s", stopped, resumed)
	}
}

// A key is the same for one life of a room, another for the next, and bounded.
func TestKeys(t *testing.T) {
	key := func(id string, created int64) string {
		return form.Key(events.Event{Source: "/live/7", Data: events.Data{Room: events.Room{RoomID: id, CreateTime: created}}})
	}
	long := strings.Repeat("長", 5000)
	for _, keys := range [][2]string{{key("a", 1), key("a", 2)}, {key("a", 1), key("b", 1)}, {key(long, 1), key(long+"x", 1)}} {
		if keys[0] == keys[1] || len(keys[0]) > 200 {
			t.Errorf("%q and %q", keys[0], keys[1])
		}
	}
}

// What is wrong with a body is found when it is read, with its line.
func TestMistakesInBodies(t *testing.T) {
	for text, want := range map[string]struct {
		line int
		says string
	}{
		"{\n\"a\": {{.Room.Nme}}}":                                           {2, "can't evaluate field Nme"},
		"{\n\"a\": {{.Room.ID}}\n\"b\": 1}":                                  {3, "is not JSON: "},
		"{\n\"a\": {{.Room.ID}},\n}":                                         {2, "is not JSON: "},
		"{\n\"a\": [{{range .Room.Categories}}\n{{.}},\n{{end}}]}":           {3, "of a room.created is not JSON: "},
		"{\n{{if eq .Type \"digest\"}}\n\"a\": 1,\n{{end}}}":                 {3, "of a digest is not JSON: "},
		"{\n\"a\": {{with .Changes}}{{.}}\n{{end}}}":                         {3, "of a room.created is not JSON: "},
		"{\"a\": 1}\n{\"b\": 2}":                                             {2, "something follows its end"},
		"{\"a\": 1,\n\"b\": 2,\n\"a\": 3}":                                   {3, "duplicate"},
		"{\"a\": {{.Room.ID}}x}":                                             {1, "is not JSON: "},
		"{\n\"a\": \"no end}":                                                {2, "is not JSON: it has no end"},
		"{{if .Milestone}}{}{{end}}":                                         {1, "is not JSON: it has no end"},
		"{\n\"a\": \"\\{{.Room.ID}}\"}":                                      {2, "a value follows a backslash"},
		"{\n\"a\": {{.Values.nope}}}":                                        {2, `map has no entry for key "nope"`},
		"{{range .Items}}{{.Nope}}{{end}}{}":                                 {1, "can't evaluate field Nope in type the item's data"},
		"\n{{":                                                               {2, "unclosed action"},
		"{\n\x01}":                                                           {2, "control character"},
		"{\"a\": {{index .Room.Categories 2}}}":                              {1, "out of range"},
		"{{define \"x\"}}\n\"{{.Room.ID}}\",{{end}}\n[{{template \"x\" .}}]": {2, "is not JSON: "},
	} {
		_, err := form.ParseBody(text, map[string]string{"key": "x"})
		var wrong *form.TextError
		if !errors.As(err, &wrong) || wrong.Line != want.line || !strings.Contains(wrong.Reason, want.says) || strings.Contains(wrong.Reason, "form.") {
			t.Errorf("%q: %+v, want line %d and %s", text, err, want.line, want.says)
		}
	}
}

// A body that fails for one room is not sent, and says why.
func TestBodiesThatFail(t *testing.T) {
	to := withBody(t, "{\n{{if eq .Room.Name \"bad\"}}x{{end}}}", nil)
	_, err := to.Request(t.Context(), ofRoom(events.RoomCreated, events.Room{RoomID: "id", RoomName: "bad"}), now)
	if err == nil || !strings.Contains(err.Error(), "body, in its line 2: what it makes of a room.created is not JSON") {
		t.Errorf("%v", err)
	}
	to = withBody(t, `"{{if eq .Room.Name "bad"}}{{printf "%9999999d" 1}}{{end}}"`, nil)
	_, err = to.Request(t.Context(), ofRoom(events.RoomCreated, events.Room{RoomID: "id", RoomName: "bad"}), now)
	if err == nil || !strings.Contains(err.Error(), "it is too long") {
		t.Errorf("%v", err)
	}
}

// The body is signed as it is sent; without a secret it has the id alone.
func TestSignatureOfABody(t *testing.T) {
	n := form.New(event(events.RoomCreated, hostile), "r", "t", 0)
	to := withBody(t, `{"name": {{.Room.Name}}}`, nil)
	to.Headers, to.Token = map[string]string{"x-api-key": "k", "Content-Type": "application/vnd.x+json"}, "tok"
	h, body := sent(t, to, n)
	w, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.VerifyIgnoringTimestamp([]byte(body), h); err != nil {
		t.Errorf("%v", err)
	}
	if h.Get("X-Api-Key") != "k" || h.Get("Content-Type") != "application/vnd.x+json" || h.Get("Authorization") != "Bearer tok" {
		t.Errorf("headers: %v", h)
	}
	to.Secret, to.Token, to.Username, to.Password = "", "", "anna", "pass"
	h, _ = sent(t, to, n)
	if _, signed := h["Webhook-Signature"]; signed || h.Get("Webhook-Id") != n.ID || h.Get("Authorization") != "Basic YW5uYTpwYXNz" {
		t.Errorf("headers: %v", h)
	}
}

// FuzzBody checks that no name adds to the JSON or changes what is around it.
func FuzzBody(f *testing.F) {
	f.Add(hostile, "key")
	f.Add(`","a":"`, `\`)
	f.Add("\x02\x03\x01", "\xff")
	b, err := form.ParseBody(`{"in": "<{{.Values.v}}>", "out": {{.Values.v}}, "{{.Room.Name}}!": 1, "name": {{.Room.Name}}}`, map[string]string{"v": "x"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, name, value string) {
		to := form.Target{Kind: "webhook", URL: "https://x.example", Body: b, Values: map[string]string{"v": value}}
		_, got := sent(t, to, ofRoom(events.RoomCreated, events.Room{RoomID: "id", RoomName: name}))
		var v map[string]any
		if err := json.Unmarshal([]byte(got), &v); err != nil {
			t.Fatalf("%v: %s", err, got)
		}
		value = strings.ToValidUTF8(fixed(value), "\ufffd")
		if len(v) != 4 || v["out"] != value || v["in"] != "<"+value+">" || v[fmt.Sprint(v["name"])+"!"] != 1.0 {
			t.Errorf("%q, %q: %s", name, value, got)
		}
	})
}

// fixed has U+FFFD for each byte that is not UTF-8, as encoding/json has.
func fixed(s string) string { return string([]rune(s)) }
