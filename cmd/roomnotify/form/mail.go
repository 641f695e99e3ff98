package form

import (
	"bytes"
	"fmt"
	"html"
	netmail "net/mail"
	"regexp"
	"strings"
	"time"

	"github.com/wneessen/go-mail"
)

// An Envelope says who sends an e-mail to whom.
type Envelope struct {
	From netmail.Address
	To   []netmail.Address
}

// maxLetter bounds the text of an e-mail, in bytes. An e-mail has it twice, encoded:
// it is shorter than 150 kB, which any server takes.
const maxLetter = 20_000

// idForm is an id that needs no quotes in a Message-ID.
var idForm = regexp.MustCompile(`^[A-Za-z0-9_-]{1,200}$`)

// Letter returns the e-mail that tells n, tried at now: its text, and the same as
// HTML. The Message-ID is the same at every attempt, so that a mailbox that has got
// an e-mail twice can show it once.
func (t Target) Letter(n Notification, now time.Time) ([]byte, error) {
	told, title, text := t.letterText(n)
	m := mail.NewMsg(mail.WithNoDefaultUserAgent())
	m.FromMailAddress(&t.Envelope.From)
	for i := range t.Envelope.To {
		m.AddToMailAddress(&t.Envelope.To[i])
	}
	m.Subject(title)
	m.SetMessageIDWithValue(t.messageID(n))
	m.SetDateWithValue(now.In(t.voice().zone))
	m.SetGenHeader("Auto-Submitted", "auto-generated") // so that no absence is answered with a notice (RFC 3834)
	m.SetGenHeader(mail.HeaderUserAgent, "roomnotify")
	m.SetBodyString(mail.TypeTextPlain, text+told.linkLine()+"\n")
	m.AddAlternativeString(mail.TypeTextHTML, t.page(title, text, told))
	var b bytes.Buffer
	if _, err := m.WriteTo(&b); err != nil {
		return nil, fmt.Errorf("write notification %s: %w", n.ID, err)
	}
	return b.Bytes(), nil
}

// letterText returns what a letter tells, its subject, and its plain text but for the link.
func (t Target) letterText(n Notification) (told message, title, text string) {
	told = t.message(n)
	if title, text = told.fit(maxLetter, bytesIn, plainWord); text == "" {
		text = title
	}
	return told, title, text
}

func (t Target) messageID(n Notification) string {
	id := n.ID
	if !idForm.MatchString(id) {
		id = hashOf(id)
	}
	_, domain, _ := strings.Cut(t.Envelope.From.Address, "@")
	return id + "@" + domain
}

// page is the text as HTML.
func (t Target) page(title, text string, told message) string {
	language := t.Language
	if language == "" {
		language = Languages()[0]
	}
	lines, link := strings.ReplaceAll(html.EscapeString(text), "\n", "<br>\n"), ""
	if told.link != "" {
		link = fmt.Sprintf("<p><a href=\"%s\">%s</a></p>\n", html.EscapeString(told.link), html.EscapeString(told.words.open))
	}
	return fmt.Sprintf("<!doctype html>\n<html lang=%q>\n<body>\n<p><strong>%s</strong></p>\n<p>%s</p>\n%s</body>\n</html>\n", language, html.EscapeString(title), lines, link)
}

// plainWord keeps a stranger's text in a subject from being what it is not: =?…?= is
// there a text in another encoding, which would be read after everything was escaped.
func plainWord(s string) string { return strings.ReplaceAll(s, "=?", "="+string(wordJoiner)+"?") }
