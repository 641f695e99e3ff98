package form_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"roomwatch/cmd/roomnotify/form"
	"roomwatch/publisher/events"
)

// told returns the body of a request with a text.
func told(t *testing.T, kind, text string, n form.Notification) string {
	t.Helper()
	parsed, err := form.ParseText(text)
	if err != nil {
		t.Fatal(err)
	}
	to := form.Target{Kind: kind, URL: "https://x.example", Token: "1:x", Chat: "-1", Texts: map[string]*form.Text{"r": parsed}}
	req, err := to.Request(t.Context(), n, time.Unix(1700000000, 0))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func ofRoom(kind events.Type, room events.Room) form.Notification {
	return form.New(events.Event{ID: "A-1", Type: kind, Time: time.Unix(1700003600, 0), Data: events.Data{Room: room}}, "r", "a", 0)
}

// A text is what each chat is told, in its escapes; of another rule the built-in
// one is.
func TestTexts(t *testing.T) {
	room := events.Room{RoomID: "id", RoomName: "*a* @all <b>", OwnerAccount: "o\nwner", Category: []int64{1, 2}, CreateTime: 1700000000, ViewCount: 12345}
	const text = "{{.Room.Name}} by {{.Room.Owner}}\n{{count .Room.Views}} views, {{categories .Room.Categories}}, since {{(in \"Asia/Shanghai\" .Room.Created).Format \"15:04\"}}{{with .Lasted}}, {{.}}{{end}}\n"
	const line = `12,345 views, 1, 2, since 06:13, 1h0m0s`
	for kind, want := range map[string]string{
		"slack":    "*a* @\u2060all <b> by o wner\\n" + line,
		"discord":  `\\*a\\* \\@` + "\u2060" + `all \\<b\\> by o wner\n` + strings.ReplaceAll(line, ":", `\\:`),
		"feishu":   line,
		"wecom":    "*a* @\u2060all ＜b> by o wner\\n" + line,
		"telegram": "*a* @\u2060all <b> by o wner\\n" + line,
	} {
		if got := told(t, kind, text, ofRoom(events.RoomEnded, room)); !strings.Contains(got, want) {
			t.Errorf("%s: %q is not in %s", kind, want, got)
		}
		other := ofRoom(events.RoomEnded, room)
		other.Rule = "other"
		if got := told(t, kind, text, other); !strings.Contains(got, "Room ended") {
			t.Errorf("%s, another rule: %s", kind, got)
		}
	}
}

// In a digest the first line of a text stands for a notification.
func TestTextInADigest(t *testing.T) {
	d := form.Digest{Total: 2, Counts: map[string]int{"room.created": 2}, Items: []form.Notification{
		ofRoom(events.RoomCreated, events.Room{RoomID: "one"}), ofRoom(events.RoomCreated, events.Room{RoomID: "two"}),
	}}
	got := told(t, "slack", "Look at {{.Room.ID}}!\nsecond line", form.NewDigest(d, "r", "a", 7))
	if !strings.Contains(got, `• Look at one!\n• Look at two!`) || strings.Contains(got, "second line") {
		t.Errorf("the digest is %s", got)
	}
}

// What is wrong with a text is found when it is read, with its line.
func TestMistakesInTexts(t *testing.T) {
	for text, want := range map[string]struct {
		line int
		says string
	}{
		"one\n{{.Room.Nme}}":                     {2, "can't evaluate field Nme"},
		"one\ntwo\n{{if .Room.Name}}":            {3, "unexpected EOF"},
		"{{shout .Room.Name}}":                   {1, `function "shout" not defined`},
		"one\n{{in \"Mars/Base\" .Time}}":        {2, "such as Asia/Shanghai"},
		"one\n{{if .Milestone}}{{.Mile}}{{end}}": {2, "can't evaluate field Mile"},
		"{{.Room.Created.Format}}":               {1, "wrong number of args"},
	} {
		_, err := form.ParseText(text)
		var wrong *form.TextError
		if !errors.As(err, &wrong) || wrong.Line != want.line || !strings.Contains(wrong.Reason, want.says) || strings.Contains(wrong.Reason, "form.") {
			t.Errorf("%q: %+v, want line %d and %s", text, err, want.line, want.says)
		}
	}
}

// A text that fails for one room, or shows nothing, costs no news.
func TestTextsThatFail(t *testing.T) {
	room := events.Room{RoomID: "id", RoomName: "name"}
	for text, want := range map[string]string{
		"{{index .Room.Categories 2}}":                                "The text of the rule file fails: ",
		"a\n{{if eq .Room.ID \"id\"}}{{printf \"%99999d\" 1}}{{end}}": "it is too long",
		"{{if .Milestone}}x{{end}}\n":                                 "New room: name",
	} {
		if got := told(t, "telegram", text, ofRoom(events.RoomCreated, room)); !strings.Contains(got, "New room: name") || !strings.Contains(got, want) {
			t.Errorf("%s: %q is not in %s", text, want, got)
		}
	}
	// The title is cut, and what does not fit is counted.
	got := told(t, "wecom", strings.Repeat("x", 5000)+"\n"+strings.Repeat("y", 5000), ofRoom(events.RoomCreated, room))
	if len(got) > 2100 || !strings.Contains(got, "… and 1 more") {
		t.Errorf("%d bytes: %.300s", len(got), got)
	}
}

// toldDigest returns the body of a request with the text of a digest.
func toldDigest(t *testing.T, text string, total int) string {
	t.Helper()
	parsed, err := form.ParseDigestText(text)
	if err != nil {
		t.Fatal(err)
	}
	d := form.Digest{Since: time.Unix(1700000000, 0), Until: time.Unix(1700003600, 0), Total: total, Counts: map[string]int{"room.created": total}, Items: []form.Notification{
		ofRoom(events.RoomCreated, events.Room{RoomID: "one", RoomName: "<!channel> one"}), ofRoom(events.RoomCreated, events.Room{RoomID: "two"}),
	}}
	to := form.Target{Kind: "slack", URL: "https://x.example", Digests: map[string]*form.DigestText{"r": parsed}}
	req, err := to.Request(t.Context(), form.NewDigest(d, "r", "a", 7), time.Unix(1700000000, 0))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// A digest has a text of its own; where the others are is added to it. One that fails
// for a digest costs no news.
func TestTextOfADigest(t *testing.T) {
	got := toldDigest(t, "{{.Total}} things of {{.Rule}}, {{index .Counts \"room.created\"}} new, {{index .Counts \"room.ended\"}} over\n{{range .Titles}}- {{.}}\n{{end}}until {{.Until.Format \"15:04\"}}", 5)
	for _, want := range []string{`5 things of r, 5 new, 0 over\n- New room: `, `- New room: two\nuntil 23:13\n… and 3 more, on the event stream from `} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in %s", want, got)
		}
	}
	if strings.Contains(got, `"text":"5 things of r, 5 new, 0 over <!channel>`) || strings.Contains(got, "Held back") {
		t.Errorf("the digest is %s", got)
	}
	got = toldDigest(t, "{{index .Titles 1}}{{if gt .Total 2}}{{index .Titles 7}}{{end}}", 5)
	if !strings.Contains(got, "Held back: 5 new rooms") || !strings.Contains(got, "The text of the rule file fails: ") {
		t.Errorf("a text that fails: %s", got)
	}
	if got := toldDigest(t, "{{if gt .Total 9}}many{{end}}", 5); !strings.Contains(got, "Held back: 5 new rooms") {
		t.Errorf("a text that shows nothing: %s", got)
	}
	var wrong *form.TextError
	if _, err := form.ParseDigestText("one\n{{.Room.Name}}"); !errors.As(err, &wrong) || wrong.Line != 2 || strings.Contains(wrong.Reason, "form.") {
		t.Errorf("a mistake: %+v", err)
	}
}
