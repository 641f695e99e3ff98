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
	words words
	title string
	lines []string
	more  int    // notifications of which no line tells
	where string // they can be found; empty where nothing is missing

	link, cover string // URLs; empty: none
}

// A voice is how a target is told: in which language, and in whose time.
type voice struct {
	words
	zone *time.Location
}

func (t Target) voice() voice {
	v := voice{speech(t.Language), t.Zone}
	if v.zone == nil {
		v.zone = time.UTC
	}
	return v
}

// at is a time in the zone of the target, which it names.
func (v voice) at(t time.Time, layout string) string {
	return t.In(v.zone).Format(layout) + " " + v.zone.String()
}

// message is what a target is told, in the text of the rule or the built-in one.
func (t Target) message(n Notification) message {
	v := t.voice()
	one := func(n Notification) message {
		if text := t.Texts[n.Rule]; text != nil && n.Watch == nil { // a text is of rooms
			return text.message(n, v)
		}
		return v.message(n)
	}
	var m message
	if n.Digest != nil {
		titles := titlesOf(*n.Digest, one)
		m = v.digest(*n.Digest, titles)
		if text := t.Digests[n.Rule]; text != nil {
			m = text.message(n, titles, m, v)
		}
	} else {
		m = one(n)
	}
	m.words, m.link = v.words, t.Link.of(n)
	if t.Cover {
		m.cover = n.cover()
	}
	if n.Test {
		m.title = fmt.Sprintf(v.test, m.title)
	}
	return m
}

// Title is the first line of what a target is told, in plain text.
func (t Target) Title(n Notification) string { return t.message(n).title }

// message is the built-in text of a notification that is no digest.
func (v voice) message(n Notification) message {
	if n.Watch != nil {
		return message{title: v.watchTitle(n), lines: v.watchDetails(n)}
	}
	return message{title: v.headline(n), lines: v.details(n)}
}

// Title is a notification in one line of plain text.
func (n Notification) Title() string { return Target{}.message(n).title }

func name(r events.Room) string {
	if s := Clean(r.RoomName, maxName); s != "" {
		return s
	}
	return Clean(r.RoomID, maxOwner)
}

// headline tells a notification in one line.
func (v voice) headline(n Notification) string {
	room := name(n.Event.Data.Room)
	if n.Type == Milestone {
		return fmt.Sprintf(v.milestone, count(n.Milestone), room)
	}
	title, known := v.titles[n.Type]
	if !known {
		title = n.Type + ": %s" // unreachable: rules know no others
	}
	return fmt.Sprintf(title, room)
}

func (v voice) details(n Notification) []string {
	d := n.Event.Data
	lines := []string{
		fmt.Sprintf(v.owner, Clean(d.Room.OwnerAccount, maxOwner)),
		fmt.Sprintf(v.views, count(d.Room.ViewCount)),
	}
	if p := d.Previous; p != nil && n.Type == string(events.RoomUpdated) {
		lines = append(lines, v.changes(*p)...)
	}
	if len(d.Room.Category) > 0 {
		lines = append(lines, fmt.Sprintf(v.category, categories(d.Room.Category)))
	}
	if d.Room.CreateTime > 0 {
		began := time.Unix(d.Room.CreateTime, 0)
		if lasted := n.Event.Time.Sub(began); n.Type == string(events.RoomEnded) && lasted > 0 {
			lines = append(lines, fmt.Sprintf(v.lasted, v.duration(lasted.Truncate(time.Second))))
		} else {
			lines = append(lines, fmt.Sprintf(v.since, v.at(began, "2006-01-02 15:04:05")))
		}
	}
	return append(lines, fmt.Sprintf(v.room, Clean(d.Room.RoomID, maxOwner)))
}

// changes tells what was before a change: all that a room.updated can have.
func (v voice) changes(p events.Previous) []string {
	var lines []string
	add := func(format, value string) {
		if value == "" {
			value = v.absent
		}
		lines = append(lines, fmt.Sprintf(format, value))
	}
	if p.RoomName != nil {
		add(v.nameBefore, Clean(*p.RoomName, maxName))
	}
	if p.OwnerAccount != nil {
		add(v.ownerBefore, Clean(*p.OwnerAccount, maxOwner))
	}
	if p.Category != nil {
		add(v.categoryBefore, categories(*p.Category))
	}
	if p.CoverURL != nil {
		lines = append(lines, v.coverChanged)
	}
	if p.ActivityStatus != nil {
		add(v.activityBefore, strconv.FormatInt(*p.ActivityStatus, 10))
	}
	if p.ViewCount != nil {
		add(v.viewsBefore, count(*p.ViewCount))
	}
	return lines
}

func categories(list []int64) string {
	var shown []string
	for _, c := range list[:min(len(list), 10)] {
		shown = append(shown, strconv.FormatInt(c, 10))
	}
	return strings.Join(shown, ", ")
}

// titlesOf returns the titles of the first notifications of a digest, which one makes.
func titlesOf(d Digest, one func(Notification) message) []string {
	var titles []string
	for _, n := range d.Items[:min(len(d.Items), MostItems)] {
		titles = append(titles, one(n).title)
	}
	return titles
}

// digest tells how many there are of each type, and the titles of the first.
func (v voice) digest(d Digest, titles []string) message {
	var counts []string
	for _, kind := range types() {
		if n := d.Counts[kind]; n > 0 {
			counts = append(counts, fmt.Sprintf(v.counts[kind][min(n, 2)-1], count(int64(n))))
		}
	}
	const minute = "2006-01-02 15:04"
	m := message{title: fmt.Sprintf(v.held, strings.Join(counts, v.comma))}
	m.lines = append(m.lines, fmt.Sprintf(v.span, d.Since.In(v.zone).Format(minute), v.at(d.Until, minute)))
	for _, title := range titles {
		m.lines = append(m.lines, "• "+title)
	}
	m.more = d.Total - len(titles)
	since := d.Since
	if len(d.Items) > 0 && d.Items[0].Time().Before(since) {
		since = d.Items[0].Time()
	}
	m.where = fmt.Sprintf(v.where, v.at(since, minute))
	return m
}

// rest tells of what no line tells; empty if there is nothing.
func (m message) rest(more int) string {
	switch {
	case more == 0:
		return ""
	case m.where == "":
		return fmt.Sprintf(m.words.more, count(int64(more)))
	}
	return fmt.Sprintf(m.words.moreAt, count(int64(more)), m.where)
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
