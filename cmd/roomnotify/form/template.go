package form

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"text/template"
	"time"

	"roomwatch/publisher/events"
)

// A Text is the text of a message as a rule file writes it: its first line is the
// title. It is written by the operator, and what it shows of a room by strangers:
// all of it is escaped as the service asks for.
type Text struct{ t *template.Template }

// A Shown is what a text can show.
type Shown struct {
	Type      string // one of [EventTypes], or room.milestone
	Rule      string
	Milestone int64         // the count that was crossed; 0 in others
	Time      time.Time     // when it happened; as all times here in the zone of the target
	Lasted    time.Duration // of an ended room; 0 in others
	Room      ShownRoom
	Changes   []string // of a changed room, what was before, in the words of the built-in text
}

// A ShownRoom is a room in a text.
type ShownRoom struct {
	ID, Name, Owner string // one line each, and bounded; a room without a name has its ID as one
	Views           int64
	Categories      []int64
	Created         time.Time // the zero time if that is not known
}

func shown(n Notification, v voice) Shown {
	if n.Event == nil {
		return Shown{Type: n.Type, Rule: n.Rule, Time: n.Time().In(v.zone)} // it tells of no room
	}
	e, room := n.Event, n.Event.Data.Room
	s := Shown{
		Type: n.Type, Rule: n.Rule, Milestone: n.Milestone, Time: e.Time.In(v.zone),
		Room: ShownRoom{ID: Clean(room.RoomID, maxOwner), Name: name(room), Owner: Clean(room.OwnerAccount, maxOwner), Views: room.ViewCount, Categories: room.Category},
	}
	if room.CreateTime > 0 {
		s.Room.Created = time.Unix(room.CreateTime, 0).In(v.zone)
		if n.Type == string(events.RoomEnded) {
			s.Lasted = max(0, e.Time.Sub(s.Room.Created)).Truncate(time.Second)
		}
	}
	if p := e.Data.Previous; p != nil && n.Type == string(events.RoomUpdated) {
		s.Changes = v.changes(*p)
	}
	return s
}

// functions are those of a text, besides the ones of text/template.
var functions = template.FuncMap{
	"count":      count,
	"categories": categories,
	"in": func(zone string, t time.Time) (time.Time, error) {
		l, err := time.LoadLocation(zone)
		if err != nil {
			return t, fmt.Errorf("%w; write a name such as Asia/Shanghai", err)
		}
		return t.In(l), nil
	},
}

// A TextError is what is wrong with a text.
type TextError struct {
	Line   int // of the text, from 1
	Reason string
}

func (e *TextError) Error() string { return e.Reason }

// ParseText reads a text, and tries it on an example of each type: of an unknown
// field a template knows only when it is used. The error is a [TextError].
func ParseText(text string) (*Text, error) {
	parsed, err := template.New("text").Option("missingkey=error").Funcs(functions).Parse(text)
	if err != nil {
		return nil, textError(err)
	}
	t := &Text{parsed}
	for _, kind := range append(EventTypes(), Milestone) {
		if err := parsed.Execute(io.Discard, shown(sample(kind), Target{}.voice())); err != nil {
			return nil, textError(err)
		}
	}
	return t, nil
}

// sample is a notification with each field that a text can show.
func sample(kind string) Notification {
	views, name := int64(900), "name"
	e := events.Event{Time: time.Unix(1700003600, 0), Data: events.Data{
		Room:     events.Room{RoomID: "id", RoomName: name, OwnerAccount: "owner", Category: []int64{1, 2, 3}, CreateTime: 1700000000, ViewCount: 1000},
		Previous: &events.Previous{ViewCount: &views, RoomName: &name},
	}}
	n := Notification{Type: kind, Rule: "rule", Event: &e}
	if kind == Milestone {
		n.Milestone = 1000
	}
	return n
}

var templateError = regexp.MustCompile(`^template: text:(\d+)(?::\d+)?: (?:executing "text" at )?(.*)$`)

func textError(err error) error {
	reason := strings.NewReplacer("form.ShownLink", "the link's data", "form.LinkedRoom", "the room's data", "form.ShownDigest", "the text's data", "form.ShownBody", "the body's data", "form.ShownItem", "the item's data", "form.ShownRoom", "the room's data", "form.Shown", "the text's data").Replace(err.Error())
	m := templateError.FindStringSubmatch(reason)
	if m == nil {
		return &TextError{1, reason}
	}
	line, err := strconv.Atoi(m[1])
	if err != nil {
		return &TextError{1, reason} // unreachable: these are digits
	}
	return &TextError{line, m[2]}
}

// maxTitle bounds the first line, which is never left out.
const maxTitle = 200

// maxText bounds what a text makes of a notification, before it is cut as the
// service asks for.
const maxText = 64 << 10

var errLong = errors.New("it is too long")

// message is the text of a notification. One that fails, because of what the room
// is like, is the built-in one with the reason in its last line: no news is lost.
func (t *Text) message(n Notification, v voice) message {
	b := &bounded{left: maxText}
	if err := t.t.Execute(b, shown(n, v)); err != nil {
		m := v.message(n)
		m.lines = append(m.lines, fmt.Sprintf(v.fails, Clean(err.Error(), 200)))
		return m
	}
	lines := linesIn(b.String())
	if lines[0] == "" {
		return v.message(n) // it shows nothing of this type
	}
	return message{title: Clean(lines[0], maxTitle), lines: lines[1:]}
}

// linesIn returns the lines of what a text has made, at least one.
func linesIn(s string) []string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " \t\r")
	}
	return lines
}

// bounded is a text that does not grow forever.
type bounded struct {
	strings.Builder
	left int
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.left -= len(p); b.left < 0 {
		return 0, errLong
	}
	return b.Builder.Write(p)
}
