package publisher

import (
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"roomwatch/diff"
)

// Encode returns the message body of an event of an application.
func Encode(app int, e diff.Event) []byte { return appendEvent(nil, app, e) }

// appendEvent appends the message body of an event to b. It is written out by
// hand because a first sweep makes as many bodies as there are rooms, and
// reflection was the largest part of publishing them. That it agrees with the
// encoding of [envelope] is tested with random events.
func appendEvent(b []byte, app int, e diff.Event) []byte {
	b = append(b, `{"specversion":"1.0","id":`...)
	b = appendString(b, e.ID)
	b = append(b, `,"source":"/live/`...)
	b = strconv.AppendInt(b, int64(app), 10)
	b = append(b, '"')
	b = append(b, `,"type":`...)
	b = appendString(b, string(e.Type))
	if e.Room.RoomID != "" {
		b = append(b, `,"subject":`...)
		b = appendString(b, e.Room.RoomID)
	}
	b = append(b, `,"time":`...)
	b = appendTime(b, e.Time)
	b = append(b, `,"sequence":"`...)
	b = append(b, diff.FormatSeq(e.Seq)...)
	b = append(b, '"')
	if e.Trace != "" {
		b = append(b, `,"traceparent":`...)
		b = appendString(b, e.Trace)
	}
	b = append(b, `,"datacontenttype":"application/json","dataschema":`...)
	b = appendString(b, dataSchema(string(e.Type)))
	b = append(b, `,"data":`...)
	b = appendData(b, e)
	return append(b, '}')
}

func appendData(b []byte, e diff.Event) []byte {
	b = append(b, `{"room":`...)
	b = appendRoom(b, e.Room)
	if e.Previous != (diff.Previous{}) {
		b = append(b, `,"previous":`...)
		b = appendPrevious(b, e.Previous)
	}
	b = append(b, `,"version":`...)
	b = strconv.AppendUint(b, e.Version, 10)
	if !e.Since.IsZero() {
		b = append(b, `,"since":`...)
		b = appendTime(b, e.Since)
	}
	if e.Baseline {
		b = append(b, `,"baseline":true`...)
	}
	if e.Gap {
		b = append(b, `,"gap":true`...)
	}
	b = append(b, `,"sweep":`...)
	b = strconv.AppendUint(b, e.Sweep, 10)
	if e.Evidence.By != "" {
		b = append(b, `,"evidence":`...)
		b = appendEvidence(b, e.Evidence)
	}
	return append(b, '}')
}

func appendEvidence(b []byte, e diff.Evidence) []byte {
	b = append(b, `{"by":`...)
	b = appendString(b, string(e.By))
	b = append(b, `,"requests":[`...)
	for i, id := range e.Requests {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, id)
	}
	b = append(b, ']')
	if e.Missed > 0 {
		b = append(b, `,"missed":`...)
		b = strconv.AppendUint(b, e.Missed, 10)
	}
	return append(b, '}')
}

func appendRoom(b []byte, r diff.Room) []byte {
	b = append(b, `{"RoomId":`...)
	b = appendString(b, r.RoomID)
	b = append(b, `,"RoomName":`...)
	b = appendString(b, r.RoomName)
	b = append(b, `,"Owner_Account":`...)
	b = appendString(b, r.OwnerAccount)
	b = append(b, `,"CoverURL":`...)
	b = appendString(b, r.CoverURL)
	b = append(b, `,"Category":`...)
	b = appendNumbers(b, r.Category)
	b = append(b, `,"CreateTime":`...)
	b = strconv.AppendInt(b, r.CreateTime, 10)
	b = append(b, `,"ActivityStatus":`...)
	b = strconv.AppendInt(b, r.ActivityStatus, 10)
	b = append(b, `,"ViewCount":`...)
	b = strconv.AppendInt(b, r.ViewCount, 10)
	if r.Hidden {
		b = append(b, `,"IsPublicVisible":false`...)
	}
	return append(b, '}')
}

// appendPrevious appends what is not nil of p, of which something is.
func appendPrevious(b []byte, p diff.Previous) []byte {
	begin := byte('{')
	name := func(n string) {
		b = append(b, begin, '"')
		b = append(b, n...)
		b = append(b, '"', ':')
		begin = ','
	}
	if p.RoomName != nil {
		name("RoomName")
		b = appendString(b, *p.RoomName)
	}
	if p.OwnerAccount != nil {
		name("Owner_Account")
		b = appendString(b, *p.OwnerAccount)
	}
	if p.CoverURL != nil {
		name("CoverURL")
		b = appendString(b, *p.CoverURL)
	}
	if p.Category != nil {
		name("Category")
		b = appendNumbers(b, *p.Category)
	}
	if p.ActivityStatus != nil {
		name("ActivityStatus")
		b = strconv.AppendInt(b, *p.ActivityStatus, 10)
	}
	if p.ViewCount != nil {
		name("ViewCount")
		b = strconv.AppendInt(b, *p.ViewCount, 10)
	}
	return append(b, '}')
}

// appendString appends s as a JSON string, without escaping what only HTML
// minds. What is not UTF-8 is written as U+FFFD, which is all that the error tells.
func appendString(b []byte, s string) []byte {
	b, _ = jsontext.AppendQuote(b, s)
	return b
}

// appendNumbers appends a list that is empty, not null, if there is none.
func appendNumbers(b []byte, ns []int64) []byte {
	b = append(b, '[')
	for i, n := range ns {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, n, 10)
	}
	return append(b, ']')
}

func appendTime(b []byte, t time.Time) []byte {
	b = append(b, '"')
	b = t.UTC().AppendFormat(b, wireTime)
	return append(b, '"')
}
