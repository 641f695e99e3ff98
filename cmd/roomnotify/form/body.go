package form

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/template"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"roomwatch/publisher/events"
)

// A Body is the JSON that a webhook is sent, as a rule file writes it: a template.
// What the template shows is written as JSON by roomnotify: as a value where the
// template has one, and escaped where it has a text between quotes. So no name of a
// room can add to the JSON or break it.
type Body struct{ t *template.Template }

// A ShownBody is what the template of a body can show.
type ShownBody struct {
	Shown // of a digest, its type, its rule and its last time alone

	ID     string // of the notification; the same at every attempt
	Key    string // of the life of the room, or of the watch of an application: the same in each notification of it. Of a digest, its ID
	App    int    // SDKAppID; 0 in a digest
	Target string
	Test   bool   // sent by `roomnotify test`
	Title  string // first line of the text that a chat would get
	Text   string // the lines after it
	Lines  []string
	Event  *events.Event // nil in a digest, and where Watch is not
	Watch  *Watch
	Values map[string]string // of the target
	Cover  string            // URL of the room's cover; empty if there is none that can be shown
	Link   string            // what the target's link makes of it; else empty

	// Of a digest, else empty.
	Since, Until time.Time
	Total        int
	Items        []ShownItem
}

// A ShownItem is one notification of a digest.
type ShownItem struct {
	Shown

	ID, Key string
	App     int
	Title   string
	Event   *events.Event
	Watch   *Watch
}

const (
	maxKey  = 200     // bytes of a key that is readable
	maxBody = 4 << 20 // bytes of a body: a digest of the largest size that is stored, and as much again
)

// Key names one life of a room, in at most 200 bytes.
func Key(e events.Event) string {
	r := e.Data.Room
	key := fmt.Sprintf("%d/%s@%d", e.App(), strings.ToValidUTF8(r.RoomID, "?"), r.CreateTime)
	if len(key) > maxKey {
		return fmt.Sprintf("%d/%s@%d", e.App(), hashOf(r.RoomID), r.CreateTime)
	}
	return key
}

// key is that of a room, of the watch of an application, or of a digest.
func (n Notification) key() string {
	switch {
	case n.Watch != nil:
		return fmt.Sprintf("%d/watch", n.Watch.App)
	case n.Event != nil:
		return Key(*n.Event)
	}
	return n.ID
}

// app returns the SDKAppID; 0 of a digest.
func (n Notification) app() int {
	switch {
	case n.Watch != nil:
		return n.Watch.App
	case n.Event != nil:
		return n.Event.App()
	}
	return 0
}

func (t Target) shownBody(n Notification) ShownBody {
	m := t.message(n)
	s := ShownBody{ID: n.ID, Key: n.key(), App: n.app(), Target: n.Target, Test: n.Test, Title: m.title, Event: n.Event, Watch: n.Watch, Values: t.Values, Cover: n.cover(), Link: m.link}
	lines := m.lines
	if rest := m.rest(m.more); rest != "" {
		lines = append(lines, rest)
	}
	s.Text, s.Lines = strings.Join(lines, "\n"), lines
	if d := n.Digest; d != nil {
		zone := t.voice().zone
		s.Shown = Shown{Type: n.Type, Rule: n.Rule, Time: d.Until.In(zone)}
		s.Since, s.Until, s.Total = d.Since.In(zone), d.Until.In(zone), d.Total
		for _, i := range d.Items {
			s.Items = append(s.Items, ShownItem{Shown: shown(i, t.voice()), ID: i.ID, Key: i.key(), App: i.app(), Title: t.message(i).title, Event: i.Event, Watch: i.Watch})
		}
		return s
	}
	s.Shown = shown(n, t.voice())
	return s
}

// ParseBody reads the template of a body, and tries it on examples of each type,
// with and without what a room may lack. The values are those of the target. The
// error is a [TextError].
func ParseBody(text string, values map[string]string) (*Body, error) {
	if i := strings.IndexFunc(text, func(r rune) bool { return r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0x7f }); i >= 0 {
		return nil, &TextError{strings.Count(text[:i], "\n") + 1, "it has a control character"}
	}
	parsed, err := template.New("text").Option("missingkey=error").Funcs(functions).Funcs(bodyFunctions).Parse(text)
	if err != nil {
		return nil, textError(err)
	}
	for _, t := range parsed.Templates() {
		if t.Tree != nil {
			noteValues(t.Tree, t.Root, text)
		}
	}
	b := &Body{parsed}
	to := Target{Kind: "webhook", Values: values}
	for _, n := range samples() {
		if _, err := b.json(to.shownBody(n)); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// samples are one notification of each type, with all that a room can have and with
// nothing, alone and in digests.
func samples() []Notification {
	var list []Notification
	for _, kind := range append(EventTypes(), Milestone) {
		full := sample(kind)
		full.ID, full.Target = "id", "target"
		full.Event.Source = "/live/88888888"
		bare := full
		bare.Event = &events.Event{Source: full.Event.Source, Type: full.Event.Type, Time: full.Event.Time, Data: events.Data{Room: events.Room{RoomID: "id"}}}
		list = append(list, full, bare)
	}
	began := time.Unix(1700000000, 0)
	list = append(list, NewWatch(Watch{App: 1, Since: began, Why: Silent}, "rule", "target", began), NewWatch(Watch{App: 1, Since: began, Until: began.Add(time.Hour), Why: "stopped"}, "rule", "target", began))
	for _, items := range [][]Notification{list[:2], list} {
		counts := map[string]int{}
		for _, i := range items {
			counts[i.Type]++
		}
		now := time.Unix(1700003600, 0)
		d := Digest{Since: now, Until: now, Total: len(items), Counts: counts, Items: items}
		list = append(list, NewDigest(d, "rule", "target", 1))
	}
	return list
}

// json returns the body. An error is a [TextError].
func (b *Body) json(s ShownBody) ([]byte, error) {
	out := &bounded{left: maxBody}
	if err := b.t.Execute(out, s); err != nil {
		return nil, textError(err)
	}
	body, lines, err := assemble(out.String())
	if err != nil {
		return nil, err
	}
	var wrong *jsontext.SyntacticError
	if err := checkJSON(body); errors.As(err, &wrong) {
		return nil, &TextError{lines.at(int(wrong.ByteOffset)), "what it makes of a " + s.Type + " is not JSON: " + jsonReason(wrong, body)}
	} else if err != nil {
		return nil, &TextError{1, "what it makes of a " + s.Type + " is not JSON: " + err.Error()}
	}
	return body, nil
}

// checkJSON looks for one value and nothing after it, and for names that stand twice
// in an object.
func checkJSON(body []byte) error {
	d := jsontext.NewDecoder(bytes.NewReader(body))
	if err := d.SkipValue(); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return &jsontext.SyntacticError{ByteOffset: int64(len(body)), Err: errors.New("it has no end")}
		}
		return err
	}
	if rest := bytes.TrimSpace(body[d.InputOffset():]); len(rest) > 0 {
		return &jsontext.SyntacticError{ByteOffset: d.InputOffset() + int64(bytes.Index(body[d.InputOffset():], rest)), Err: errors.New("something follows its end")}
	}
	return nil
}

// jsonReason is what is wrong with JSON, with the text before it.
func jsonReason(wrong *jsontext.SyntacticError, body []byte) string {
	reason := strings.TrimPrefix(wrong.Err.Error(), "jsontext: ")
	before := body[:min(int(wrong.ByteOffset), len(body))]
	if tail := Clean(string(before[max(0, len(before)-40):]), 40); tail != "" {
		return reason + ", after " + tail
	}
	return reason
}
