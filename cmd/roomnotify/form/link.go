package form

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"text/template"
)

// A Link is what a message of a room leads to, as a rule file writes it: a template
// of a URL. Its host is the operator's, and each value in it is escaped, so that no
// name of a room leads elsewhere.
type Link struct{ t *template.Template }

// A ShownLink is what a link can show. Unlike in texts, values are as the event has them.
type ShownLink struct {
	Type, Rule string
	App        int // SDKAppID
	Room       LinkedRoom
}

// A LinkedRoom is a room in a link.
type LinkedRoom struct {
	ID, Name, Owner string
	Created         int64 // Unix seconds; 0 if that is not known
}

// maxLink bounds a link, in bytes: WeCom takes 2048 for the whole message.
const maxLink = 1000

// linkFunctions are those of links. Values are escaped anyway: a template that says
// urlquery means the same.
var linkFunctions = template.FuncMap{
	valueFunction: func(v any) string {
		return string(valueMark) + hex.EncodeToString([]byte(fmt.Sprint(v))) + string(endMark)
	},
	"urlquery": func(v any) any { return v },
}

// ParseLink reads a link, and tries it on an example of each type of event. The error
// is a [TextError].
func ParseLink(text string) (*Link, error) {
	if control(strings.TrimSpace(text)) {
		return nil, &TextError{1, "it has several lines, or a control character"}
	}
	parsed, err := template.New("text").Option("missingkey=error").Funcs(linkFunctions).Parse(strings.TrimSpace(text))
	if err != nil {
		return nil, textError(err)
	}
	for _, t := range parsed.Templates() {
		if t.Tree != nil {
			noteValues(t.Tree, t.Root, text)
		}
	}
	l, some := &Link{parsed}, false
	for _, n := range samples() {
		link, err := l.make(n)
		if err != nil {
			return nil, err
		}
		some = some || link != ""
	}
	if !some {
		return nil, &TextError{1, "it makes nothing of any event"}
	}
	return l, nil
}

// of returns the link of a notification; empty if it has none, or what the room is
// like makes no URL: the news is told without it.
func (l *Link) of(n Notification) string {
	link, err := l.make(n)
	if err != nil {
		return ""
	}
	return link
}

// make returns the link; empty where it tells of no room, and where the template
// shows nothing. An error is a [TextError].
func (l *Link) make(n Notification) (string, error) {
	if l == nil || n.Event == nil {
		return "", nil
	}
	room := n.Event.Data.Room
	s := ShownLink{n.Type, n.Rule, n.Event.App(), LinkedRoom{room.RoomID, room.RoomName, room.OwnerAccount, room.CreateTime}}
	b := &bounded{left: maxText}
	if err := l.t.Execute(b, s); err != nil {
		return "", textError(err)
	}
	made, err := assembleLink(b.String())
	if err == nil && made != "" {
		made, err = showable(made, maxLink, "https", "http")
	}
	if err == nil && dotSegment.MatchString(made) {
		err = errors.New("has a . or .. in its path, which leads elsewhere")
	}
	if err != nil {
		return "", &TextError{1, "what it makes of a " + n.Type + " " + err.Error()}
	}
	return made, nil
}

// linkHost is a URL up to the end of its host.
var linkHost = regexp.MustCompile(`^https?://[^/?#]+[/?#]`)

// dotSegment is a part of a path that browsers resolve, also where its dots are escaped.
var dotSegment = regexp.MustCompile(`^[^?#]*/(\.|%2[eE]){1,2}([/?#]|$)`)

// assembleLink puts the values where they belong.
func assembleLink(marked string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(marked); i++ {
		c := marked[i]
		if c != lineMark && c != valueMark {
			b.WriteByte(c)
			continue
		}
		end := i + strings.IndexByte(marked[i:], endMark)
		if c == valueMark {
			value, err := hex.DecodeString(marked[i+1 : end])
			if err != nil {
				return "", err // unreachable: it was encoded
			}
			if !linkHost.MatchString(b.String()) {
				return "", errors.New("has a value before the end of its host: write a URL such as https://example.com/rooms/{{.Room.ID}}")
			}
			b.WriteString(strings.ReplaceAll(url.QueryEscape(string(value)), "+", "%20"))
		}
		i = end
	}
	return strings.TrimSpace(b.String()), nil
}

// linkLine is the link as a line of text, for services that make a link of it.
func (m message) linkLine() string {
	if m.link == "" {
		return ""
	}
	return "\n" + m.link
}
