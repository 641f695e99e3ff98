package form

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"roomwatch/publisher/events"
)

// MostItems is how many notifications of a digest the chat forms show.
const MostItems = 10

const (
	maxName  = 100 // characters of a room's name
	maxOwner = 64  // of an owner or a RoomId
)

// A message is what the chat forms say: a title and lines, in plain text.
type message struct {
	title string
	lines []string
	more  int    // notifications of which no line tells
	where string // they can be found; empty where nothing is missing
}

// message is what a target is told, in the text of the rule or the built-in one.
func (t Target) message(n Notification) message {
	one := func(n Notification) message {
		if text := t.Texts[n.Rule]; text != nil {
			return text.message(n)
		}
		return builtIn(n)
	}
	var m message
	if n.Digest != nil {
		m = n.Digest.message(one)
	} else {
		m = one(n)
	}
	if n.Test {
		m.title = "[test] " + m.title
	}
	return m
}

// builtIn is the text of a notification that is no digest.
func builtIn(n Notification) message { return message{title: n.headline(), lines: details(n)} }

// Title is a notification in one line of plain text.
func (n Notification) Title() string { return Target{}.message(n).title }

func name(r events.Room) string {
	if s := Clean(r.RoomName, maxName); s != "" {
		return s
	}
	return Clean(r.RoomID, maxOwner)
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
		"Owner: " + Clean(d.Room.OwnerAccount, maxOwner),
		"Views: " + count(d.Room.ViewCount),
	}
	if p := d.Previous; p != nil && n.Type == string(events.RoomUpdated) {
		lines = append(lines, changes(*p)...)
	}
	if len(d.Room.Category) > 0 {
		lines = append(lines, "Category: "+categories(d.Room.Category))
	}
	if d.Room.CreateTime > 0 {
		began := time.Unix(d.Room.CreateTime, 0).UTC()
		if lasted := n.Event.Time.Sub(began); n.Type == string(events.RoomEnded) && lasted > 0 {
			lines = append(lines, "Live for: "+lasted.Truncate(time.Second).String())
		} else {
			lines = append(lines, "Live since: "+began.Format("2006-01-02 15:04:05 UTC"))
		}
	}
	return append(lines, "Room: "+Clean(d.Room.RoomID, maxOwner))
}

// changes tells what was before a change: all that a room.updated can have.
func changes(p events.Previous) []string {
	var lines []string
	if p.RoomName != nil {
		lines = append(lines, "Name before: "+orNone(Clean(*p.RoomName, maxName)))
	}
	if p.OwnerAccount != nil {
		lines = append(lines, "Owner before: "+orNone(Clean(*p.OwnerAccount, maxOwner)))
	}
	if p.Category != nil {
		lines = append(lines, "Category before: "+orNone(categories(*p.Category)))
	}
	if p.CoverURL != nil {
		lines = append(lines, "Cover: changed")
	}
	if p.ActivityStatus != nil {
		lines = append(lines, "Activity status before: "+strconv.FormatInt(*p.ActivityStatus, 10))
	}
	if p.ViewCount != nil {
		lines = append(lines, "Views before: "+count(*p.ViewCount))
	}
	return lines
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

func categories(list []int64) string {
	var shown []string
	for _, c := range list[:min(len(list), 10)] {
		shown = append(shown, strconv.FormatInt(c, 10))
	}
	return strings.Join(shown, ", ")
}

// message tells the titles of the first items, which one makes.
func (d Digest) message(one func(Notification) message) message {
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
		m.lines = append(m.lines, "• "+one(n).title)
	}
	m.more = d.Total - len(shown)
	since := d.Since
	if len(d.Items) > 0 && d.Items[0].Time().Before(since) {
		since = d.Items[0].Time()
	}
	m.where = fmt.Sprintf("on the event stream from %s on (roomwatch tail --since)", since.UTC().Format("2006-01-02 15:04 UTC"))
	return m
}

// rest tells of what no line tells; empty if there is nothing.
func (m message) rest(more int) string {
	switch {
	case more == 0:
		return ""
	case m.where == "":
		return fmt.Sprintf("… and %s more", count(int64(more)))
	}
	return fmt.Sprintf("… and %s more, %s", count(int64(more)), m.where)
}

// fit returns the message with each of its lines escaped and no link in it, its
// title separate from the rest, in at most limit units of measure. Lines that do
// not fit are counted.
func (m message) fit(limit int, measure func(string) int, escape func(string) string) (title, text string) {
	title = escape(unlink(m.title))
	left := limit - measure(title) - 1
	reserve := measure(escape(unlink(m.rest(m.more+len(m.lines))))) + 1
	var kept []string
	more := m.more
	for i, l := range m.lines {
		l = escape(unlink(l))
		if left -= measure(l) + 1; left < reserve {
			more += len(m.lines) - i
			break
		}
		kept = append(kept, l)
	}
	if r := m.rest(more); r != "" {
		kept = append(kept, escape(unlink(r)))
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
