package form_test

import (
	"bytes"
	"fmt"
	"html"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"roomwatch/cmd/internal/display"
	"roomwatch/cmd/roomnotify/form"
	"roomwatch/publisher/events"
)

func mailbox() form.Target {
	return form.Target{Kind: "email", Envelope: form.Envelope{
		From: mail.Address{Name: "直播间", Address: "rooms@example.org"},
		To:   []mail.Address{{Address: "ops@example.org"}, {Name: "On call", Address: "call@example.net"}},
	}}
}

// A letter as a mail program reads it.
type letter struct {
	header           mail.Header
	subject          string
	plain, page, raw string
}

// read reads a letter as strictly as the standards are: lines end with CR LF and
// have at most 998 bytes, and the header is ASCII.
func read(t *testing.T, raw []byte) letter {
	t.Helper()
	for line := range strings.SplitSeq(string(raw), "\r\n") {
		if len(line) > 998 || strings.ContainsAny(line, "\r\n\x00") {
			t.Errorf("no line of a letter: %.200q", line)
		}
	}
	head, _, _ := strings.Cut(string(raw), "\r\n\r\n")
	if strings.ContainsFunc(head, func(r rune) bool { return r >= utf8.RuneSelf }) {
		t.Errorf("the header is not ASCII:\n%s", head)
	}
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatalf("%v\n%s", err, raw)
	}
	l := letter{header: m.Header, raw: string(raw)}
	if l.subject, err = new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject")); err != nil {
		t.Fatal(err)
	}
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/alternative" {
		t.Fatalf("%s: %v", kind, err)
	}
	parts := multipart.NewReader(m.Body, params["boundary"])
	for _, text := range []*string{&l.plain, &l.page} {
		p, err := parts.NextRawPart()
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(quotedprintable.NewReader(p))
		if err != nil {
			t.Fatal(err)
		}
		*text = strings.ReplaceAll(string(b), "\r\n", "\n")
	}
	if _, err := parts.NextRawPart(); err != io.EOF {
		t.Errorf("a third part: %v", err)
	}
	return l
}

func write(t *testing.T, g form.Target, n form.Notification) letter {
	t.Helper()
	raw, err := g.Letter(n, now)
	if err != nil {
		t.Fatal(err)
	}
	return read(t, raw)
}

// The letters are what the golden files have, but for the line between their parts:
// run with -update after a change that is wanted, and read the difference.
func TestGoldenLetters(t *testing.T) {
	for name, n := range notifications() {
		l := write(t, mailbox(), n)
		_, params, err := mime.ParseMediaType(l.header.Get("Content-Type"))
		if err != nil {
			t.Fatal(err)
		}
		got := strings.ReplaceAll(strings.ReplaceAll(l.raw, params["boundary"], "BOUNDARY"), "\r\n", "\n")
		file := filepath.Join("testdata", "email-"+name+".eml")
		if *update {
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s: got\n%s\nwant\n%s", file, got, want)
		}
	}
}

// Whatever a room is called, its letter has the same header, the same parts, and a
// text without markup, links and what may not be shown.
func TestLetterOfStrangers(t *testing.T) {
	names := []string{
		hostile, links, "a\r\nBcc: all@example.org\r\n\r\n<script>", "a\nSubject: b", "=?utf-8?q?a=0D=0ABcc:=20all@example.org?=", "=?UTF-8?B?4oCu?= x", "\r\n.\r\nQUIT\r\n", ".", "..", "--BOUNDARY--", "<b>x</b> &amp; \"y\"",
		strings.Repeat("a", 5000), strings.Repeat("直播", 2000), strings.Repeat("a\u0301", 3000), "\xff\xfe", strings.Repeat("=?", 80), "\u202eevil\u2066", "🎤" + strings.Repeat("👨‍👩‍👧‍👦", 200),
	}
	plainKeys := "Auto-Submitted Content-Type Date From Message-Id Mime-Version Subject To User-Agent"
	for _, name := range names {
		l := write(t, mailbox(), form.New(event(events.RoomCreated, name), "new-rooms", "team", 0))
		var keys []string
		for _, k := range strings.Fields(plainKeys) {
			if len(l.header[k]) == 1 {
				keys = append(keys, k)
			}
		}
		if len(l.header) != len(keys) || strings.Join(keys, " ") != plainKeys {
			t.Errorf("%.40q: header %v", name, l.header)
		}
		if !strings.HasPrefix(l.subject, "New room: ") || strings.Contains(l.subject, "\n") || strings.Contains(l.subject, "=?") {
			t.Errorf("%.40q: subject %q", name, l.subject)
		}
		if again, err := new(mime.WordDecoder).DecodeHeader(l.subject); err != nil || again != l.subject {
			t.Errorf("%.40q: subject %q can be decoded once more, to %q: %v", name, l.subject, again, err)
		}
		for _, text := range []string{l.subject, l.plain, l.page} {
			for r, safe := range display.Runes(text) {
				if !safe && r != '\n' && r != '\u2060' {
					t.Errorf("%.40q: %U is in %q", name, r, text)
				}
			}
			if regexp.MustCompile(`https?://|[a-z]\.(com|example|gg)|[a-z]@[a-z]`).MatchString(text) {
				t.Errorf("%.40q: a link is in %q", name, text)
			}
		}
		tags := regexp.MustCompile(`<[^>]*>`).FindAllString(l.page, -1)
		if got, want := strings.Join(tags, ""), "<!doctype html><html lang=\"en\"><body><p><strong></strong></p><p>"+strings.Repeat("<br>", strings.Count(l.plain, "\n")-1)+"</p></body></html>"; got != want {
			t.Errorf("%.40q: tags %s, want %s", name, got, want)
		}
		words := html.UnescapeString(regexp.MustCompile(`<[^>]*>`).ReplaceAllString(l.page, ""))
		if !strings.Contains(words, strings.TrimSpace(l.plain)) || !strings.Contains(words, l.subject) {
			t.Errorf("%.40q: the page says %q, the text %q", name, words, l.plain)
		}
		if len(l.raw) > 8000 {
			t.Errorf("%.40q: the letter has %d bytes", name, len(l.raw))
		}
	}
}

// The same notification has the same id at every attempt, and another one another;
// an id that could be something else in a header is replaced by its hash.
func TestMessageIDs(t *testing.T) {
	id := func(n form.Notification) string { return write(t, mailbox(), n).header.Get("Message-ID") }
	n := notifications()["created"]
	later, err := mailbox().Letter(n, now.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if a, b := id(n), read(t, later).header.Get("Message-ID"); a != b || a != "<"+n.ID+"@example.org>" {
		t.Errorf("%s and %s", a, b)
	}
	if id(n) == id(notifications()["milestone"]) {
		t.Error("two notifications have one id")
	}
	n.ID = "a> b\r\nBcc: x"
	if !regexp.MustCompile(`^<[0-9a-f]{64}@example\.org>$`).MatchString(id(n)) {
		t.Error(id(n))
	}
}

// A letter is in the language, the zone and the text of the target; a text of a title
// alone is a letter, too, and the longest one ends.
func TestTextOfALetter(t *testing.T) {
	g := mailbox()
	g.Language, g.Zone = "zh", time.FixedZone("UTC+8", 8*3600)
	n := notifications()["created"]
	l := write(t, g, n)
	if l.subject != "新直播间：\u2060Heidi live, no. 32" || !strings.Contains(l.plain, "主播：\u2060bren\n") || !strings.Contains(l.page, `<html lang="zh">`) || !strings.HasSuffix(l.header.Get("Date"), "+0800") {
		t.Errorf("%s\n%s\n%s", l.subject, l.plain, l.header.Get("Date"))
	}
	for text, want := range map[string]string{
		"{{.Room.Name}} <i>":                 "Heidi live, no. 32 <i>\n",
		"title\n<b>{{.Room.Owner}}</b>\n\nx": "<b>bren</\u2060b>\n\nx\n",
	} {
		parsed, err := form.ParseText(text)
		if err != nil {
			t.Fatal(err)
		}
		g := mailbox()
		g.Texts = map[string]*form.Text{n.Rule: parsed}
		if l := write(t, g, n); l.plain != want || strings.Contains(l.page, "<i>") || strings.Contains(l.page, "<b>") {
			t.Errorf("%s: %q\n%s", text, l.plain, l.page)
		}
	}
	long, err := form.ParseText(fmt.Sprintf("title\n%s", strings.Repeat("直播直播直播直播 {{.Room.Name}}\n", 1300)))
	if err != nil {
		t.Fatal(err)
	}
	g.Texts = map[string]*form.Text{n.Rule: long}
	if l := write(t, g, n); len(l.raw) > 150_000 || len(l.plain) < 15_000 {
		t.Errorf("%d bytes with %d of text", len(l.raw), len(l.plain))
	}
}
