package events

import (
	"fmt"
	"strconv"
	"strings"
)

// Token returns a RoomId as it stands in a subject: every byte outside
// A-Z a-z 0-9 _ - is written as =XX.
func Token(roomID string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(roomID) {
		c := roomID[i]
		if c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '_' || c == '-' {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'=', hex[c>>4], hex[c&15]})
		}
	}
	return b.String()
}

// SubjectOf returns the subject on which an event is published.
func SubjectOf(prefix string, e Event) string {
	return fmt.Sprintf("%s.%s.%d.%s", prefix, e.Type, e.App(), Token(e.Data.Room.RoomID))
}

// unreleased returns the subject on which builds before the first release put an
// event: there the escape was %.
func unreleased(prefix string, e Event) string {
	return fmt.Sprintf("%s.%s.%d.%s", prefix, e.Type, e.App(), strings.ReplaceAll(Token(e.Data.Room.RoomID), "=", "%"))
}

// Filters returns subject filters that match the events of any of the types,
// of an application and of any of the rooms. No types, no rooms and an
// application of 0 stand for all.
func Filters(prefix string, types []Type, app int, rooms []string) []string {
	kinds, apps, tokens := []string{"*.*"}, "*", []string{"*"}
	if len(types) > 0 {
		kinds = nil
		for _, t := range types {
			kinds = append(kinds, string(t))
		}
	}
	if app != 0 {
		apps = strconv.Itoa(app)
	}
	if len(rooms) > 0 {
		tokens = nil
		for _, r := range rooms {
			tokens = append(tokens, Token(r))
		}
	}
	var filters []string
	for _, k := range unique(kinds) {
		for _, t := range unique(tokens) {
			filters = append(filters, strings.Join([]string{prefix, k, apps, t}, "."))
		}
	}
	return filters
}

// unique returns each element once: NATS refuses filters that overlap.
func unique(list []string) []string {
	seen := map[string]bool{}
	var once []string
	for _, s := range list {
		if !seen[s] {
			seen[s] = true
			once = append(once, s)
		}
	}
	return once
}
