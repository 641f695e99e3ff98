package form_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf16"

	"github.com/rivo/uniseg"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"roomwatch/cmd/internal/display"
	"roomwatch/cmd/roomnotify/form"
	"roomwatch/publisher/events"
)

var update = flag.Bool("update", false, "write the golden files")

const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="

var now = time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)

// hostile is a name that tries to be what each of the services could take it for.
const hostile = "a\u202e\u200b\x07\r\nsecond<!channel> @everyone <@all> <at user_id=\"all\">x</at> **b** [c](https://evil.example) /start `c` & d"

// links is a name of what chats make links of.
const links = "evil.com #free $TON https://evil.com/x discord.gg/abc a@example.com /start +8613800 12:30 1.5 room.1"

func event(t events.Type, name string) events.Event {
	before := int64(900)
	e := events.Event{
		SpecVersion: "1.0", ID: "01JD3ZK8V6Q4-0000000000000042", Source: "/live/88888888", Type: t, Subject: "room.1", Time: now,
		Sequence: "0000000000000042", DataContentType: "application/json", DataSchema: "urn:roomwatch:schema:" + string(t) + ".data.v1",
		Data: events.Data{Version: 3, Sweep: 17, Since: now.Add(-12 * time.Second), Room: events.Room{
			RoomID: "room.1", RoomName: name, OwnerAccount: "bren", CoverURL: "https://covers.example/1.png", Category: []int64{1, 2}, CreateTime: now.Unix() - 3725, ViewCount: 1000,
		}},
	}
	switch t {
	case events.RoomCreated:
		e.Data.Version = 1
	case events.ViewCountChanged:
		e.Data.Previous = &events.Previous{ViewCount: &before}
	case events.RoomUpdated:
		old := "old " + name
		e.Data.Previous = &events.Previous{RoomName: &old}
	}
	return e
}

func digest(n int) form.Notification {
	d := form.Digest{Since: now.Add(-time.Hour), Until: now, Total: n, Counts: map[string]int{"room.created": n - 1, "room.milestone": 1}}
	for i := range min(n, 20) {
		e := event(events.RoomCreated, fmt.Sprintf("room %d %s", i, hostile))
		d.Items = append(d.Items, form.New(e, "new-rooms", "team", 0))
	}
	return form.NewDigest(d, "new-rooms", "team", 77)
}

func notifications() map[string]form.Notification {
	test := form.New(event(events.RoomCreated, "Heidi live"), "new-rooms", "team", 0)
	test.Test = true
	return map[string]form.Notification{
		"created":   form.New(event(events.RoomCreated, "Heidi live, no. 32"), "new-rooms", "team", 0),
		"ended":     form.New(event(events.RoomEnded, "海蒂的直播间 🎤"), "new-rooms", "team", 0),
		"updated":   form.New(event(events.RoomUpdated, "new name"), "new-rooms", "team", 0),
		"milestone": form.New(event(events.ViewCountChanged, "Heidi live"), "new-rooms", "team", 1000),
		"hostile":   form.New(event(events.RoomCreated, hostile), "new-rooms", "team", 0),
		"digest":    digest(3),
		"unwatched": form.NewWatch(form.Watch{App: 88888888, Since: now, Why: form.Silent}, "outages", "team", now),
		"watched":   form.NewWatch(form.Watch{App: 88888888, Since: now, Until: now.Add(754 * time.Second), Why: "stopped"}, "outages", "team", now),
		"test":      test,
	}
}

func targets() []form.Target {
	return []form.Target{
		{Kind: "webhook", URL: "https://hooks.example/x", Secret: secret},
		{Kind: "slack", URL: "https://hooks.slack.com/services/T/B/x"},
		{Kind: "discord", URL: "https://discord.com/api/webhooks/1/x"},
		{Kind: "feishu", URL: "https://open.feishu.cn/open-apis/bot/v2/hook/x", Secret: "hush"},
		{Kind: "wecom", URL: "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=x"},
		{Kind: "telegram", URL: "https://api.telegram.org", Token: "1:x", Chat: "-100"},
		{Kind: "dingtalk", URL: "https://oapi.dingtalk.com/robot/send?access_token=x", Secret: "SEChush"},
	}
}

func body(t *testing.T, g form.Target, n form.Notification) (*http.Request, []byte) {
	t.Helper()
	req, err := g.Request(t.Context(), n, now)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(req.Body)
	if err != nil {
		t.Fatal(err)
	}
	return req, b
}

// What each form sends is what the golden files have: run with -update after a
// change that is wanted, and read the difference.
func TestGoldenBodies(t *testing.T) {
	for _, g := range targets() {
		for name, n := range notifications() {
			_, raw := body(t, g, n)
			var pretty bytes.Buffer
			if err := json.Indent(&pretty, raw, "", "  "); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join("testdata", g.Kind+"-"+name+".json")
			if *update {
				if err := os.WriteFile(file, append(pretty.Bytes(), '\n'), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got := pretty.String() + "\n"; got != string(want) {
				t.Errorf("%s: got\n%s\nwant\n%s", file, got, want)
			}
		}
	}
}

// The text that a chat shows, or would read markup from.
func shown(t *testing.T, kind string, raw []byte) string {
	t.Helper()
	var v struct {
		Text    any    `json:"text"`
		Content any    `json:"content"`
		Blocks  []any  `json:"blocks"`
		Msg     string `json:"msg_type"`
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	var texts []string
	var collect func(any)
	collect = func(v any) {
		switch v := v.(type) {
		case string:
			texts = append(texts, v)
		case []any:
			for _, e := range v {
				collect(e)
			}
		case map[string]any:
			for k, e := range v {
				if k != "tag" && k != "type" {
					collect(e)
				}
			}
		}
	}
	collect(v.Text)
	if kind == "discord" || kind == "feishu" {
		collect(v.Content)
	}
	return strings.Join(texts, "\n")
}

// Names of strangers are no mention, no markup and no second line in any chat.
func TestStrangersTextIsText(t *testing.T) {
	n := form.New(event(events.RoomCreated, hostile), "r", "t", 0)
	n.Event.Data.Room.RoomName = links
	for _, g := range targets()[1:] {
		_, raw := body(t, g, n)
		text := shown(t, g.Kind, raw)
		for _, bad := range []string{"evil.com", "https:/", "#free", "$TON", "@example", "/start", "discord.gg/", "+86"} {
			if strings.Contains(text, bad) {
				t.Errorf("%s: %q is in %q", g.Kind, bad, text)
			}
		}
		if plain := strings.NewReplacer("\u2060", "", "\\", "").Replace(text); !strings.Contains(plain, links) {
			t.Errorf("%s: nobody can read %q in %q", g.Kind, links, plain)
		}
	}
	n.Event.Data.Room.RoomName = hostile
	never := map[string][]string{
		"slack":    {"<!channel>", "<@all>"}, // in the fallback; blocks are plain_text
		"discord":  {"<@", "**b", "](https", "`c`", " @everyone"},
		"feishu":   {"<at", "<@"},
		"wecom":    {"<@", "<at"},
		"telegram": {"@everyone", "@all", "/start"},
	}
	for _, g := range targets()[1:] {
		_, raw := body(t, g, n)
		text := shown(t, g.Kind, raw)
		for _, bad := range never[g.Kind] {
			if strings.Contains(text, bad) {
				t.Errorf("%s: %q is in %q", g.Kind, bad, text)
			}
		}
		for _, r := range text {
			if r != '\n' && r != '\u2060' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) {
				t.Errorf("%s: %U is in %q", g.Kind, r, text)
			}
		}
		if strings.Contains(text, "\nsecond") {
			t.Errorf("%s: a name has a second line: %q", g.Kind, text)
		}
	}
	_, raw := body(t, targets()[2], n)
	if !bytes.Contains(raw, []byte(`"allowed_mentions":{"parse":[]}`)) {
		t.Errorf("discord may mention: %s", raw)
	}
	_, raw = body(t, targets()[1], n)
	var s struct {
		Text   string
		Blocks []struct{ Text struct{ Type string } }
	}
	if err := json.Unmarshal(raw, &s); err != nil || s.Blocks[0].Text.Type != "plain_text" || strings.Contains(s.Text, "<") {
		t.Errorf("slack reads markup: %s", raw)
	}
	_, raw = body(t, targets()[5], n)
	if bytes.Contains(raw, []byte("parse_mode")) {
		t.Errorf("telegram reads markup: %s", raw)
	}
}

// No message is longer than its service takes, and what does not fit is counted.
func TestLengths(t *testing.T) {
	long := digest(1500)
	for i := range long.Digest.Items {
		long.Digest.Items[i].Event.Data.Room.RoomName = strings.Repeat("*🎤", 500)
	}
	one := event(events.RoomUpdated, strings.Repeat("長", 5000))
	one.Data.Room.OwnerAccount = strings.Repeat("_", 5000)
	one.Data.Room.RoomID = strings.Repeat("<", 5000)
	most := map[string]int{"slack": 3000, "discord": 2000, "feishu": 20000, "wecom": 2048, "telegram": 4096, "dingtalk": 4000}
	for _, g := range targets()[1:] {
		for _, n := range []form.Notification{long, form.New(one, "r", "t", 0)} {
			_, raw := body(t, g, n)
			var v struct {
				Text    json.RawMessage
				Content json.RawMessage
				Blocks  []struct{ Text struct{ Text string } }
			}
			if err := json.Unmarshal(raw, &v); err != nil {
				t.Fatal(err)
			}
			var text string
			var length int
			switch g.Kind {
			case "slack":
				text = v.Blocks[0].Text.Text
				length = len(utf16.Encode([]rune(text)))
			case "discord":
				_ = json.Unmarshal(v.Content, &text)
				length = len(utf16.Encode([]rune(text)))
			case "telegram":
				_ = json.Unmarshal(v.Text, &text)
				length = len(utf16.Encode([]rune(text)))
			case "wecom", "dingtalk":
				var c struct{ Content string }
				_ = json.Unmarshal(v.Text, &c)
				text, length = c.Content, len(c.Content)
			case "feishu":
				text, length = string(raw), len(raw)
			}
			if text == "" || length > most[g.Kind] {
				t.Errorf("%s: %d, want at most %d: %s", g.Kind, length, most[g.Kind], text)
			}
			if n.Digest != nil && !strings.Contains(text, "more") {
				t.Errorf("%s: what did not fit is not counted: %s", g.Kind, text)
			}
		}
	}
}

// A digest says how many it does not list, and where they are.
func TestDigestSaysWhereTheRestIs(t *testing.T) {
	for _, g := range targets()[1:] {
		_, raw := body(t, g, digest(1500))
		text := strings.NewReplacer("\u2060", "", "\\", "").Replace(string(raw))
		if !strings.Contains(text, "… and 1,490 more, on the event stream from 2026-11-23 07:00 UTC on (roomwatch tail --since)") {
			t.Errorf("%s: %s", g.Kind, text)
		}
	}
}

// A change is shown, whatever it is of.
func TestEachChangeIsShown(t *testing.T) {
	name, owner, cover, category, status, views := "", "anna", "https://covers.example/0.png", []int64{7}, int64(0), int64(900)
	for _, tt := range []struct {
		previous events.Previous
		want     string
	}{
		{events.Previous{RoomName: &name}, "Name before: none"},
		{events.Previous{OwnerAccount: &owner}, "Owner before: anna"},
		{events.Previous{CoverURL: &cover}, "Cover: changed"},
		{events.Previous{Category: &category}, "Category before: 7"},
		{events.Previous{ActivityStatus: &status}, "Activity status before: 0"},
		{events.Previous{ViewCount: &views}, "Views before: 900"},
	} {
		e := event(events.RoomUpdated, "Heidi")
		e.Data.Previous = &tt.previous
		_, raw := body(t, targets()[1], form.New(e, "r", "t", 0))
		if !strings.Contains(string(raw), tt.want) {
			t.Errorf("%q is not in %s", tt.want, raw)
		}
	}
}

// The official library finds the signature right, with each of two secrets, and
// wrong when anything is changed.
func TestSignature(t *testing.T) {
	const other = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
	g := form.Target{Kind: "webhook", URL: "https://hooks.example/x", Secret: secret + " " + other}
	n := form.New(event(events.RoomCreated, "Heidi"), "new-rooms", "team", 0)
	req, raw := body(t, g, n)
	for _, s := range []string{secret, other} {
		w, err := standardwebhooks.NewWebhook(s)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.VerifyIgnoringTimestamp(raw, req.Header); err != nil {
			t.Errorf("%v", err)
		}
		if err := w.VerifyIgnoringTimestamp(append(raw, ' '), req.Header); err == nil {
			t.Error("another body has the same signature")
		}
	}
	if got, want := req.Header.Get("webhook-id"), "01JD3ZK8V6Q4-0000000000000042_team_new-rooms"; got != want {
		t.Errorf("webhook-id %q, want %q", got, want)
	}
	if got := req.Header.Get("webhook-timestamp"); got != "1795420800" {
		t.Errorf("webhook-timestamp %q", got)
	}
}

// The event in the generic form decodes as the stream's does.
func TestWebhookHasTheEvent(t *testing.T) {
	e := event(events.ViewCountChanged, hostile)
	_, raw := body(t, targets()[0], form.New(e, "r", "t", 1000))
	var p struct {
		Type string
		Data struct {
			Milestone int64
			Event     json.RawMessage
		}
	}
	if err := json.Unmarshal(raw, &p); err != nil {
		t.Fatal(err)
	}
	got, err := events.Decode(p.Data.Event)
	if err != nil || p.Type != "room.milestone" || p.Data.Milestone != 1000 || got.Data.Room.RoomName != hostile {
		t.Errorf("%v: %s", err, raw)
	}
}

func TestClean(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"plain", "Heidi live", "Heidi live"},
		{"white space", "  a \t\r\n b\u2028c ", "a b c"},
		{"bidi", "abc\u202edcba\u2066x\u2069", "abcdcbax"},
		{"zero width", "a\u200bb\ufeffc\u00add", "abcd"},
		{"control", "a\x00b\x1b[31mc", "a b [31mc"},
		{"letters that show nothing", "\u3164a\u115f", "a"},
		{"emoji of parts", "👩\u200d🎤", "👩\u200d🎤"},
		{"words of Persian", "می\u200cخواهم", "می\u200cخواهم"},
		{"flag of Wales", "🏴\U000e0067\U000e0062\U000e0077\U000e006c\U000e0073\U000e007f!", "🏴\U000e0067\U000e0062\U000e0077\U000e006c\U000e0073\U000e007f!"},
		{"tags without a flag", "a\U000e0067\U000e007f", "a"},
		{"cut before a flag", "1234567890🏴\U000e0067\U000e0062\U000e0077\U000e006c\U000e0073\U000e007f", "1234567890…"},
		{"no cut in a character", "123456789👩🏽\u200d❤\ufe0f\u200d👨🏽x", "123456789👩🏽\u200d❤\ufe0f\u200d👨🏽…"},
		{"no cut before an accent", "1234567890\u0301x", "1234567890\u0301…"},
		{"composed", "cafe\u0301", "caf\u00e9"},
		{"a tower with joiners", "q" + strings.Repeat("\u0301\u200d\u0301\u20dd", 20), "q\u0301\u200d\u0301\u20dd\u0301"},
		{"accents on nothing", " \u0301\u0301 a", "a"},
		{"only joiners", "\u200d\u200c\u200d", ""},
		{"joiners at the ends of words", "\u200ca\u200d b\u200c", "a b"},
		{"a tower", "z" + strings.Repeat("\u0301", 50), "\u017a" + strings.Repeat("\u0301", 3)},
		{"no UTF-8", "a\xffb", "a�b"},
		{"long", "123456789012", "1234567890…"},
		{"only blanks", " \n\t", ""},
	}
	for _, tt := range tests {
		if got := form.Clean(tt.in, 10); got != tt.want {
			t.Errorf("%s: Clean(%q) = %q, want %q", tt.name, tt.in, got, tt.want)
		}
	}
}

// FuzzClean checks that what is left is one line of bounded length without
// anything that steers the terminal or the direction, and does not change again.
func FuzzClean(f *testing.F) {
	f.Add(hostile)
	f.Fuzz(func(t *testing.T, s string) {
		got := form.Clean(s, 50)
		if len([]rune(got)) > 101 || uniseg.GraphemeClusterCount(got) > 51 {
			t.Errorf("Clean(%q) has %d characters", s, len([]rune(got)))
		}
		for r, safe := range display.Runes(got) {
			if unicode.IsControl(r) || !safe {
				t.Errorf("Clean(%q) = %q has %U", s, got, r)
			}
		}
		if again := form.Clean(got, 51); again != got {
			t.Errorf("Clean(%q) = %q, and of that %q", s, got, again)
		}
	})
}
