package trail

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"roomwatch/publisher/events"
)

// A Hole is a place in the record where messages are missing, or where the stream
// became another one: between the messages before and behind it anything may have
// happened that is not on record.
type Hole struct {
	Line   uint64    `json:"line"`
	Text   string    `json:"text"`
	App    int       `json:"app,omitzero"`    // the application that nobody watched; 0: all of them
	After  time.Time `json:"after,omitzero"`  // when the message before it was stored; zero: unknown
	Before time.Time `json:"before,omitzero"` // when the message behind it was stored; zero: unknown, or there is none yet
}

// A holes collects the holes of a file from its lines. One at its beginning, or at
// its end, is completed by what lies in the files beside it: see [seam].
type holes struct {
	all   []Hole
	first time.Time // when the first message was stored; zero: none was seen
	last  time.Time // when the message before was stored
	open  int       // so many at the end have no message behind them yet
}

func (h *holes) see(l Line) {
	text := ""
	switch {
	case l.Kind == Gap:
		text = fmt.Sprintf("messages %d to %d of the stream are not on record: %s", l.From, l.To, l.Reason)
	case l.Stream != nil && l.Reason != "":
		text = l.Reason
	case l.Seq > 0:
		if h.first.IsZero() {
			h.first = l.Stored
		}
		for i := range h.open {
			h.all[len(h.all)-1-i].Before = l.Stored
		}
		h.open, h.last = 0, l.Stored
		if o, ok := unwatched(l); ok {
			h.all = append(h.all, o)
		}
	}
	if text != "" {
		h.all = append(h.all, Hole{Line: l.Line, Text: text, After: h.last})
		h.open++
	}
}

// unwatched returns the time in which roomwatch itself did not watch, if a line tells of one.
// Before there was a kind for them, they were other.
func unwatched(l Line) (o Hole, ok bool) {
	if l.Kind != Watch && l.Kind != Other {
		return o, false
	}
	var e struct {
		Type string `json:"type"`
		Data struct {
			From time.Time `json:"from"`
			To   time.Time `json:"to"`
			Why  string    `json:"why"`
		} `json:"data"`
	}
	if json.Unmarshal(body(l), &e) != nil || e.Type != string(events.WatchResumed) || e.Data.From.IsZero() || e.Data.To.IsZero() {
		return o, false
	}
	return Hole{Line: l.Line, Text: "nobody watched the rooms: " + e.Data.Why, App: appOf(l), After: e.Data.From, Before: e.Data.To}, true
}

// unwatched says of which application nobody watched the rooms, and when.
func (o Hole) unwatched() string {
	return fmt.Sprintf("%s; of application %d, from %s to %s", o.Text, o.App, o.After.UTC().Format(time.RFC3339), o.Before.UTC().Format(time.RFC3339))
}

// appOf returns the application that a message is of; 0: it does not say so.
func appOf(l Line) int {
	var e struct {
		Source string `json:"source"`
	}
	if json.Unmarshal(body(l), &e) != nil {
		return 0
	}
	text, ok := strings.CutPrefix(e.Source, "/live/")
	app, err := strconv.Atoi(text)
	if !ok || err != nil {
		return 0
	}
	return app
}

// body returns the message that a line records.
func body(l Line) []byte {
	if l.Kind == Other {
		return l.Raw
	}
	return l.Event
}

// A seam joins the holes of files that follow each other.
type seam struct {
	last time.Time // when the last message before was stored; zero: there was none
	open []Hole    // with no message behind them yet
}

// join takes the holes of the next file, and returns those that are complete.
func (s *seam) join(h holes) []Hole {
	complete := s.message(h.first)
	for _, o := range h.all {
		if o.After.IsZero() {
			o.After = s.last
		}
		if o.Before.IsZero() {
			s.open = append(s.open, o)
		} else {
			complete = append(complete, o)
		}
	}
	if !h.last.IsZero() {
		s.last = h.last
	}
	return complete
}

// message takes the next message, and returns the holes that it is behind.
func (s *seam) message(stored time.Time) []Hole {
	if stored.IsZero() {
		return nil
	}
	complete := s.open
	s.open = nil
	for i := range complete {
		complete[i].Before = stored
	}
	return complete
}
