package trail

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"time"
	"unicode/utf8"

	"roomwatch/publisher/events"
)

// A Message is a message of the stream.
type Message struct {
	Seq     uint64
	Stored  time.Time
	Subject string
	Body    []byte
}

// after returns the messages that follow last and each other.
func after(last uint64, batch []Message) []Message {
	return slices.DeleteFunc(slices.Clone(batch), func(m Message) bool {
		if m.Seq <= last {
			return true
		}
		last = m.Seq
		return false
	})
}

// record is the line of a message.
func record(m Message) Line {
	l := Line{Kind: Event, Seq: m.Seq, Stored: m.Stored.UTC(), Subject: m.Subject, Event: m.Body}
	reason := ""
	switch {
	case !utf8.Valid(m.Body) || !json.Valid(m.Body):
		reason = "it is not JSON"
	case bytes.ContainsAny(m.Body, "\r\n"):
		reason = "it has more than one line"
	case claims(m.Body):
		l.Kind = Claim
	default:
		switch _, err := events.Decode(m.Body); {
		case errors.Is(err, events.ErrWatch):
			l.Kind = Watch
		case err != nil:
			reason = err.Error()
		}
	}
	if reason != "" {
		l.Kind, l.Event, l.Raw, l.Reason = Other, nil, m.Body, reason
	}
	return l
}

// claims reports whether a body says who writes the events, which is no change of a room.
func claims(body []byte) bool {
	var e struct {
		Type string `json:"type"`
	}
	return json.Unmarshal(body, &e) == nil && e.Type == "writer.claimed"
}
