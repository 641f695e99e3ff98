package form

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"

	"roomwatch/cmd/internal/display"
	"roomwatch/publisher/events"
)

// MostItems is how many notifications of a digest the chat forms show.
const MostItems = 10

const (
	mostName  = 100 // characters of a room's name
	mostOwner = 64  // of an owner or a RoomId
	mostMarks = 4   // accents on one letter
)

// Clean returns a stranger's text as one line of at most n characters that show
// what they are: those that [display.Runes] calls safe, and no tower of accents.
func Clean(s string, n int) string {
	var b strings.Builder
	marks, length, blank := 0, 0, false
	for r, safe := range display.Runes(strings.ToValidUTF8(s, "�")) {
		switch {
		case unicode.In(r, unicode.White_Space, unicode.Cc):
			blank = b.Len() > 0
			continue
		case !safe:
			continue
		case unicode.Is(unicode.Mn, r):
			if marks++; marks > mostMarks {
				continue
			}
		default:
			marks = 0
		}
		if length++; blank {
			b.WriteByte(' ')
			length++
			blank = false
		}
		if length > n {
			return strings.TrimRightFunc(b.String(), joins) + "…"
		}
		b.WriteRune(r)
	}
	return b.String()
}

// joins reports what has no meaning at the end of a text that was cut.
func joins(r rune) bool {
	return r == ' ' || r == '\u200c' || r == '\u200d' || '\U000e0020' <= r && r <= '\U000e007f'
}

// A message is what the chat forms say: a title and lines, in plain text.
type message struct {
	title string
	lines []string
	more  int // notifications of which no line tells
}

func (n Notification) message() message {
	var m message
	if n.Digest != nil {
		m = n.Digest.message()
	} else {
		m = message{title: n.headline(), lines: details(n)}
	}
	if n.Test {
		m.title = "[test] " + m.title
	}
	return m
}

// Title is a notification in one line of plain text.
func (n Notification) Title() string { return n.message().title }

func name(r events.Room) string {
	if s := Clean(r.RoomName, mostName); s != "" {
		return s
	}
	return Clean(r.RoomID, mostOwner)
}

// headline tells a notification in one line.
func (n Notification) headline() string {
	room := n.Event.Data.Room
	switch n.Type {
	case Milestone:
		return fmt.Sprintf("%s views: %s", count(n.Milestone), name(room))
	case string(events.RoomCreated):
		return "New room: " + name(room)
	case string(events.RoomEnded):
		return "Room ended: " + name(room)
	case string(events.RoomUpdated):
		return "Room changed: " + name(room)
	}
	return fmt.Sprintf("%s: %s", n.Type, name(room)) // unreachable: rules know no others
}

func details(n Notification) []string {
	d := n.Event.Data
	lines := []string{
		"Owner: " + Clean(d.Room.OwnerAccount, mostOwner),
		"Views: " + count(d.Room.ViewCount),
	}
	if p := d.Previous; p != nil && p.RoomName != nil {
		lines = append(lines, "Name before: "+Clean(*p.RoomName, mostName))
	}
	if p := d.Previous; p != nil && p.OwnerAccount != nil {
		lines = append(lines, "Owner before: "+Clean(*p.OwnerAccount, mostOwner))
	}
	if len(d.Room.Category) > 0 {
		var list []string
		for _, c := range d.Room.Category[:min(len(d.Room.Category), 10)] {
			list = append(list, strconv.FormatInt(c, 10))
		}
		lines = append(lines, "Category: "+strings.Join(list, ", "))
	}
	if d.Room.CreateTime > 0 {
		began := time.Unix(d.Room.CreateTime, 0).UTC()
		if lasted := n.Event.Time.Sub(began); n.Type == string(events.RoomEnded) && lasted > 0 {
			lines = append(lines, "Live for: "+lasted.Truncate(time.Second).String())
		} else {
			lines = append(lines, "Live since: "+began.Format("2006-01-02 15:04:05 UTC"))
		}
	}
	return append(lines, "Room: "+Clean(d.Room.RoomID, mostOwner))
}

func (d Digest) message() message {
	var counts []string
	for _, c := range []struct{ kind, one, many string }{
		{string(events.RoomCreated), "new room", "new rooms"},
		{string(events.RoomEnded), "room ended", "rooms ended"},
		{string(events.RoomUpdated), "room changed", "rooms changed"},
		{Milestone, "milestone", "milestones"},
	} {
		switch n := d.Counts[c.kind]; n {
		case 0:
		case 1:
			counts = append(counts, "1 "+c.one)
		default:
			counts = append(counts, count(int64(n))+" "+c.many)
		}
	}
	m := message{title: "Held back: " + strings.Join(counts, ", ")}
	m.lines = append(m.lines, fmt.Sprintf("From %s to %s", d.Since.UTC().Format("2006-01-02 15:04"), d.Until.UTC().Format("2006-01-02 15:04 UTC")))
	shown := d.Items[:min(len(d.Items), MostItems)]
	for _, n := range shown {
		m.lines = append(m.lines, "• "+n.headline())
	}
	m.more = d.Total - len(shown)
	return m
}

// fit returns the message with each of its lines escaped, its title separate
// from the rest, in at most most units of measure. Lines that do not fit are counted.
func (m message) fit(most int, measure func(string) int, escape func(string) string) (title, text string) {
	title = escape(m.title)
	left := most - measure(title) - 1
	const reserve = 40 // for how many more there are
	var kept []string
	more := m.more
	for i, l := range m.lines {
		l = escape(l)
		if left -= measure(l) + 1; left < reserve {
			more += len(m.lines) - i
			break
		}
		kept = append(kept, l)
	}
	if more > 0 {
		kept = append(kept, escape(fmt.Sprintf("… and %s more", count(int64(more)))))
	}
	return title, strings.Join(kept, "\n")
}

func bytesIn(s string) int { return len(s) }

// utf16In counts as JavaScript does; services that do not say what a character is count less.
func utf16In(s string) int {
	n := 0
	for _, r := range s {
		if n++; r > 0xffff {
			n++
		}
	}
	return n
}

// count writes a number with its thousands apart.
func count(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
