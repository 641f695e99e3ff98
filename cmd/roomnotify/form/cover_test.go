package form_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"

	"roomwatch/cmd/roomnotify/form"
	"roomwatch/publisher/events"
)

func linkTo(t *testing.T, text string) *form.Link {
	t.Helper()
	l, err := form.ParseLink(text)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// showing returns the target of a kind that shows covers and leads somewhere.
func showing(t *testing.T, kind string) form.Target {
	t.Helper()
	for _, g := range targets() {
		if g.Kind == kind {
			g.Cover, g.Link = true, linkTo(t, "https://example.com/rooms/{{.Room.ID}}?from=a&to={{.Room.Name}}")
			return g
		}
	}
	t.Fatalf("there is no kind %s", kind)
	return form.Target{}
}

// With a cover and a link each service gets what the golden files have: for a room,
// and for a room whose cover and name are hostile.
func TestGoldenCovers(t *testing.T) {
	evil := event(events.RoomCreated, "a>|*b*&\"<@all> https://evil.com")
	evil.Data.Room.CoverURL = "https://covers.example/a b>|x|<!channel>)[c](https://evil.com)?q=\"'`\\直&x=1#\u202e"
	list := map[string]form.Notification{
		"cover": form.New(event(events.RoomCreated, "Heidi live"), "new-rooms", "team", 0), "cover-hostile": form.New(evil, "new-rooms", "team", 0),
	}
	for _, g := range targets()[1:] {
		for name, n := range list {
			_, raw := body(t, showing(t, g.Kind), n)
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

// A digest and news of the watch are of no room: they are told as if there were
// neither cover nor link.
func TestNoCoverWithoutARoom(t *testing.T) {
	all := notifications()
	for _, g := range targets()[1:] {
		for _, name := range []string{"digest", "unwatched", "watched"} {
			_, got := body(t, showing(t, g.Kind), all[name])
			if _, want := body(t, g, all[name]); !bytes.Equal(got, want) {
				t.Errorf("%s: %s of %s: got\n%s\nwant\n%s", g.Kind, name, g.Kind, got, want)
			}
		}
	}
}

// Only a URL that any service takes, and that is of a host with a public name, is shown.
func TestWhichCoversAreShown(t *testing.T) {
	for cover, want := range map[string]string{
		"https://covers.example/1.png":                        "https://covers.example/1.png",
		"HTTPS://Covers.Example:8443/a%20b?x=1&y=2":           "https://Covers.Example:8443/a%20b?x=1&y=2",
		"https://covers.example/直.png":                        "https://covers.example/%E7%9B%B4.png",
		"https://covers.example/直/a%2Fb%2e.png":               "https://covers.example/%E7%9B%B4/a%2Fb%2e.png",
		"https://covers.example/a|b?<c>#)d":                   "https://covers.example/a%7Cb?%3Cc%3E#%29d",
		"https://xn--fsq.com/x":                               "https://xn--fsq.com/x",
		"":                                                    "",
		"cover_url":                                           "",
		"http://covers.example/1.png":                         "",
		"javascript:alert(1)":                                 "",
		"https:covers.example":                                "",
		"https:///x.png":                                      "",
		"https://直播.example/x":                                "",
		"https://a@covers.example/x":                          "",
		"https://covers.example\\@evil.com/x":                 "",
		"https://localhost/x":                                 "",
		"https://router/x":                                    "",
		"https://printer.local/x":                             "",
		"https://metadata.google.internal/x":                  "",
		"https://192.168.1.1/x":                               "",
		"https://127.1/x":                                     "",
		"https://0x7f.0x1/x":                                  "",
		"https://[::1]/x":                                     "",
		"https://covers.example:x/":                           "",
		"https://covers.example/\nx":                          "",
		"https://covers.example/" + strings.Repeat("a", 1977): "https://covers.example/" + strings.Repeat("a", 1977),
		"https://covers.example/" + strings.Repeat("a", 1978): "",
		"https://covers.example/" + strings.Repeat("直", 300):  "",
	} {
		e := event(events.RoomCreated, "x")
		e.Data.Room.CoverURL = cover
		n := form.New(e, "r", "t", 0)
		g := showing(t, "discord")
		_, raw := body(t, g, n)
		var v struct {
			Embeds []struct{ Image struct{ URL string } }
		}
		if err := json.Unmarshal(raw, &v); err != nil || len(v.Embeds) != 1 {
			t.Fatalf("%v: %s", err, raw)
		}
		if got := v.Embeds[0].Image.URL; got != want || g.HasCover(n) != (want != "") {
			t.Errorf("%q is shown as %q, want %q", cover, got, want)
		}
	}
}

// A link leads to the operator's host, whatever a room is called.
func TestLinks(t *testing.T) {
	for _, tt := range []struct{ text, id, want string }{
		{"https://example.com/rooms/{{.Room.ID}}", "room.1", "https://example.com/rooms/room.1"},
		{"https://example.com/rooms/{{.Room.ID | urlquery}}", "a b/../?#&", "https://example.com/rooms/a%20b%2F..%2F%3F%23%26"},
		{"https://example.com/?r={{urlquery .Room.ID}}&a={{.App}}", "a+b&a=1", "https://example.com/?r=a%2Bb%26a%3D1&a=88888888"},
		{"https://example.com/直播/{{.Room.ID}}", "a/../../b c", "https://example.com/%E7%9B%B4%E6%92%AD/a%2F..%2F..%2Fb%20c"},
		{"https://example.com/rooms/{{.Room.ID}}", "..", ""}, // browsers would resolve it
		{"https://example.com/rooms/{{.Room.ID}}/chat", ".", ""},
		{"https://example.com/rooms/{{.Room.ID}}?x", "%2E.", "https://example.com/rooms/%252E.?x"},
		{"https://example.com/rooms/?r={{.Room.ID}}", "..", "https://example.com/rooms/?r=.."},
		{"http://10.0.0.5:8080/#/{{.Rule}}/{{.Room.ID}}", "直@\x01\x02\x03\xff", "http://10.0.0.5:8080/#/r/%E7%9B%B4%40%01%02%03%FF"},
		{" https://example.com/\n", "x", "https://example.com/"},
		{`{{if eq .Type "room.ended"}}https://example.com/ended{{end}}`, "x", ""},
		{"https://example.com/{{.Room.ID}}", strings.Repeat("a", 980), "https://example.com/" + strings.Repeat("a", 980)},
		{"https://example.com/{{.Room.ID}}", strings.Repeat("a", 981), ""},
		{"https://example.com/{{slice .Room.ID 0 2}}", "a", ""}, // it fails: the news is told all the same
	} {
		e := event(events.RoomCreated, "x")
		e.Data.Room.RoomID, e.Data.Room.CoverURL = tt.id, ""
		g := showing(t, "discord")
		g.Link = linkTo(t, tt.text)
		_, raw := body(t, g, form.New(e, "r", "t", 0))
		var v struct {
			Content string
			Embeds  []struct{ URL string }
		}
		if err := json.Unmarshal(raw, &v); err != nil || !strings.Contains(v.Content, "New room\\: x") {
			t.Fatalf("%v: %s", err, raw)
		}
		got := ""
		if len(v.Embeds) > 0 {
			got = v.Embeds[0].URL
		}
		if got != tt.want {
			t.Errorf("%s of %q: %q, want %q", tt.text, tt.id, got, tt.want)
		}
	}
}

// A mistake in a link is found when it is read.
func TestMistakesInLinks(t *testing.T) {
	for text, want := range map[string]string{
		"https://{{.Room.ID}}/":                          "has a value before the end of its host",
		"https://a.example{{.Room.ID}}/x":                "has a value before the end of its host",
		"{{.Room.ID}}":                                   "has a value before the end of its host",
		"https://a.example/{{.Room.Views}}":              "can't evaluate field Views in type the room's data",
		"https://a.example/{{.Nothing}}":                 "can't evaluate field Nothing in type the link's data",
		"https://a.example/{{.Room.ID":                   "unclosed action",
		"https://a.example/\nb":                          "it has several lines",
		"ftp://a.example/":                               "does not begin with https:// or http://",
		"//a.example/":                                   "does not begin with https:// or http://",
		"https://u@a.example/":                           "has a user in front of its host",
		"https://直播.example/":                            "has no host in letters of ASCII",
		"{{if false}}https://a.example{{end}}":           "it makes nothing of any event",
		"https://a.example/x/%2e%2E/{{.Room.ID}}":        "has a . or .. in its path",
		"https://a.example/" + strings.Repeat("a", 1000): "is longer than 1000 bytes",
	} {
		if _, err := form.ParseLink(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

// With a link and a cover no message is longer than its service takes, and the text of
// the link is where Telegram is told.
func TestLengthsWithLinks(t *testing.T) {
	e := event(events.RoomUpdated, strings.Repeat("長", 5000))
	e.Data.Room.OwnerAccount, e.Data.Room.RoomID = strings.Repeat("🎤", 5000), strings.Repeat("<", 300)
	n := form.New(e, "r", "t", 0)
	text := func(kind string, cover bool) (v struct {
		Text     json.RawMessage
		Entities []struct{ Offset, Length int }
		News     struct {
			Articles []struct{ Title, Description string }
		}
		Link struct{ Title, Text string }
	}) {
		g := showing(t, kind)
		if kind != "wecom" || !cover { // more than any of them takes
			long, err := form.ParseText("{{.Room.Name}}" + strings.Repeat("\nOwner: {{.Room.Owner}}", 200))
			if err != nil {
				t.Fatal(err)
			}
			g.Texts = map[string]*form.Text{"r": long}
		}
		g.Cover, g.Link = cover, linkTo(t, "https://example.com/"+strings.Repeat("a", 20)+"/{{.Room.ID}}")
		_, raw := body(t, g, n)
		if err := json.Unmarshal(raw, &v); err != nil {
			t.Fatal(err)
		}
		return v
	}
	content := func(raw json.RawMessage) string {
		var c struct{ Content string }
		if err := json.Unmarshal(raw, &c); err != nil {
			t.Fatal(err)
		}
		return c.Content
	}
	for kind, most := range map[string]int{"wecom": 2048, "dingtalk": 4000} {
		if c := content(text(kind, false).Text); len(c) > most || !strings.HasSuffix(c, "%3C%3C") {
			t.Errorf("%s: %d bytes: %s", kind, len(c), c)
		}
	}
	a := text("wecom", true).News.Articles[0]
	if len(a.Title) > 128 || len(a.Description) > 512 || !strings.HasSuffix(a.Title, "長…") || !strings.HasPrefix(a.Description, "Owner") || !strings.Contains(a.Description, "more") {
		t.Errorf("wecom: %d and %d bytes: %+v", len(a.Title), len(a.Description), a)
	}
	if l := text("dingtalk", true).Link; len(l.Title)+len(l.Text) > 4000 || l.Text == "" {
		t.Errorf("dingtalk: %+v", l)
	}
	tg := text("telegram", true)
	var said string
	if err := json.Unmarshal(tg.Text, &said); err != nil {
		t.Fatal(err)
	}
	units := utf16.Encode([]rune(said))
	at := tg.Entities[0]
	if len(units) > 4096 || string(utf16.Decode(units[at.Offset:at.Offset+at.Length])) != "Open the room" || at.Offset+at.Length != len(units) {
		t.Errorf("telegram: the link is at %+v of %d: %s", at, len(units), said)
	}
}

// A letter has the link as a line of its text, and as a link of its page; it has no picture.
func TestLetterWithALink(t *testing.T) {
	g := mailbox()
	g.Language, g.Link = "zh", linkTo(t, "https://example.com/?a=1&r={{.Room.ID}}")
	l := write(t, g, notifications()["created"])
	if !strings.HasSuffix(l.plain, "\nhttps://example.com/?a=1&r=room.1\n") {
		t.Errorf("the text is %q", l.plain)
	}
	if !strings.Contains(l.page, `<p><a href="https://example.com/?a=1&amp;r=room.1">查看直播间</a></p>`) || strings.Contains(l.page, "covers.example") {
		t.Errorf("the page is %s", l.page)
	}
	if preview, err := g.Preview(notifications()["created"], now); err != nil || !strings.HasSuffix(preview, "\nhttps://example.com/?a=1&r=room.1") {
		t.Errorf("its preview is %q: %v", preview, err)
	}
}

// A body shows cover and link, checked as for chats.
func TestBodyWithCoverAndLink(t *testing.T) {
	g := withBody(t, `{"image": {{.Cover}}, "link": {{.Link}}}`, nil)
	g.Link = linkTo(t, "https://example.com/{{.Room.ID}}")
	n := notifications()["created"]
	if _, raw := body(t, g, n); string(raw) != `{"image": "https://covers.example/1.png", "link": "https://example.com/room.1"}` {
		t.Errorf("%s", raw)
	}
	n.Event.Data.Room.CoverURL = "http://covers.example/1.png"
	if _, raw := body(t, g, n); !strings.Contains(string(raw), `"image": ""`) {
		t.Errorf("%s", raw)
	}
}
