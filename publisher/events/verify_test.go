package events_test

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"roomwatch/publisher/events"
)

var start = time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)

// story makes messages of a room from words such as "3 +a", "4 a=10" or "5 -a":
// sequence number, then created, view count or ended. The version counts by itself.
func story(t testing.TB, epoch, words string) []events.Message {
	t.Helper()
	versions, views := map[string]uint64{}, map[string]int64{}
	var list []events.Message
	for i, word := range strings.Split(words, ", ") {
		var seq uint64
		var what string
		if _, err := fmt.Sscanf(word, "%d %s", &seq, &what); err != nil {
			t.Fatalf("%q: %v", word, err)
		}
		e := event(epoch, seq, events.ViewCountChanged, strings.Trim(what, "+-"))
		e.Time = start.Add(time.Duration(i) * time.Second)
		room := e.Data.Room.RoomID
		if id, count, ok := strings.Cut(room, "="); ok {
			room = id
			old := views[room]
			e.Data.Previous = &events.Previous{ViewCount: &old}
			if _, err := fmt.Sscan(count, &e.Data.Room.ViewCount); err != nil {
				t.Fatalf("%q: %v", word, err)
			}
		}
		e.Subject, e.Data.Room.RoomID = room, room
		switch what[0] {
		case '+':
			e.Type = events.RoomCreated
			versions[room] = 0
		case '-':
			e.Type = events.RoomEnded
			e.Data.Room.ViewCount = views[room]
		}
		if versions[room]++; versions[room] == 1 && what[0] != '+' {
			versions[room] = 2 // its beginning is not in the story
		}
		e.Data.Version, views[room] = versions[room], e.Data.Room.ViewCount
		list = append(list, message(t, uint64(i+1), e))
	}
	return list
}

func event(epoch string, seq uint64, typ events.Type, room string) events.Event {
	return events.Event{
		SpecVersion: "1.0", ID: fmt.Sprintf("%s-%016d", epoch, seq), Source: "/live/88888888", Type: typ, Subject: room, Time: start,
		Sequence: fmt.Sprintf("%016d", seq), DataContentType: "application/json", DataSchema: "urn:roomwatch:schema:" + string(typ) + ".data.v1",
		Data: events.Data{Room: events.Room{RoomID: room, Category: []int64{}, CreateTime: 1693271354}, Version: 1, Sweep: 1},
	}
}

func message(t testing.TB, seq uint64, e events.Event) events.Message {
	t.Helper()
	body, err := events.Encode(e)
	if err != nil {
		t.Fatal(err)
	}
	return events.Message{Sequence: seq, Subject: events.SubjectOf("live", e), ID: e.ID, Body: body}
}

// edit changes the event in a message.
func edit(t testing.TB, m *events.Message, change func(*events.Event)) {
	t.Helper()
	e, err := events.Decode(m.Body)
	if err != nil {
		t.Fatal(err)
	}
	change(&e)
	*m = message(t, m.Sequence, e)
}

func TestVerifier(t *testing.T) {
	const whole = "1 +a, 2 +b, 3 a=10, 4 -b, 5 +b, 6 a=12, 7 -a"
	tests := []struct {
		name, story string
		change      func([]events.Message) []events.Message
		silent      bool
		want        string // kinds, each with the stream sequence of its message
	}{
		{name: "whole", story: whole},
		{name: "begins in the middle", story: whole, change: func(m []events.Message) []events.Message { return m[2:] }},
		{name: "begins with an end", story: whole, change: func(m []events.Message) []events.Message { return m[3:] }},
		{name: "nothing but an end, from the beginning", story: "1 a=3", want: "not-live@1"},
		{name: "missing", story: "1 +a, 2 +b, 4 a=10", want: "missing@3"},
		{name: "an event lost", story: whole, change: func(m []events.Message) []events.Message { return slices.Delete(m, 2, 3) }, want: "missing@4 version@6"},
		{name: "a beginning lost", story: "1 +a, 2 +b, 3 -b", change: func(m []events.Message) []events.Message { return slices.Delete(m, 1, 2) }, want: "missing@3 not-live@3"},
		{name: "doubled", story: whole, change: func(m []events.Message) []events.Message { return slices.Insert(m, 3, m[2]) }, want: "doubled@3"},
		{name: "late", story: "1 +a, 3 +b, 2 +c", want: "missing@2 doubled@3"},
		{name: "end of an ended room", story: whole + ", 8 -a", want: "not-live@8"},
		{name: "in the middle, end of an ended room", story: "5 -a, 6 -a", want: "not-live@2"},
		{name: "version", story: whole, change: func(m []events.Message) []events.Message {
			edit(t, &m[2], func(e *events.Event) { e.Data.Version = 5 })
			return m[:5]
		}, want: "version@3"},
		{name: "previous count", story: whole, change: func(m []events.Message) []events.Message {
			edit(t, &m[2], func(e *events.Event) { e.Data.Previous.ViewCount = new(int64(7)) })
			return m
		}, want: "previous@3"},
		{name: "no previous", story: whole, change: func(m []events.Message) []events.Message {
			edit(t, &m[2], func(e *events.Event) { e.Data.Previous = nil })
			return m
		}, want: "previous@3"},
		{name: "previous in an end", story: whole, change: func(m []events.Message) []events.Message {
			edit(t, &m[3], func(e *events.Event) { e.Data.Previous = &events.Previous{} })
			return m
		}, want: "previous@4"},
		{name: "an update that moves the count without saying so", story: whole, change: func(m []events.Message) []events.Message {
			edit(t, &m[2], func(e *events.Event) {
				e.Type, e.Data.Previous = events.RoomUpdated, &events.Previous{RoomName: new("x")}
			})
			return m
		}, want: "previous@3"},
		{name: "announced while live", story: "1 +a, 2 +a", want: "still-live@2"},
		{name: "news of another life", story: "1 +a, 2 a=3", change: func(m []events.Message) []events.Message {
			edit(t, &m[1], func(e *events.Event) { e.Data.Room.CreateTime++ })
			return m
		}, want: "not-live@2"},
		{name: "time", story: whole, change: func(m []events.Message) []events.Message {
			edit(t, &m[2], func(e *events.Event) { e.Time = start.Add(-time.Second) })
			return m
		}, want: "time@3"},
		{name: "since after time", story: whole, change: func(m []events.Message) []events.Message {
			edit(t, &m[2], func(e *events.Event) { e.Data.Since = e.Time.Add(time.Millisecond) })
			return m
		}, want: "time@3"},
		{name: "message id", story: whole, change: func(m []events.Message) []events.Message { m[2].ID = "x"; return m }, want: "id@3"},
		{name: "subject", story: whole, change: func(m []events.Message) []events.Message {
			m[2].Subject = "live.viewcount.changed.88888888.b"
			return m
		}, want: "subject@3"},
		{name: "no event", story: whole, change: func(m []events.Message) []events.Message { m[6].Body = []byte("{}"); return m }, want: "undecodable@7"},
		{name: "claims are passed over", story: whole, change: func(m []events.Message) []events.Message {
			return slices.Insert(m, 2, events.Message{Sequence: 99, Subject: "live.writer.claimed.88888888", Body: []byte("{}")})
		}},
		{name: "next epoch, the rooms live on", story: "1 +a, 2 +b", change: func(m []events.Message) []events.Message {
			next := story(t, "B", "1 +c, 2 +a")
			return append(m, next...)
		}, want: "still-live@2"},
		{name: "next epoch begins late", story: "1 +a", change: func(m []events.Message) []events.Message {
			return append(m, story(t, "B", "2 +c")...)
		}, want: "missing@1"},
		{name: "old epoch goes on", story: "1 +a, 2 +b", change: func(m []events.Message) []events.Message {
			return slices.Insert(m, 1, story(t, "B", "1 +c")...)
		}, want: "epoch@2"},
		{name: "two applications", story: whole, change: func(m []events.Message) []events.Message {
			other := story(t, "B", "1 +a, 2 a=4")
			for i := range other {
				edit(t, &other[i], func(e *events.Event) { e.Source = "/live/7" })
			}
			return append(append(m[:3:3], other...), m[3:]...)
		}},
		{name: "silent beginnings", story: "1 +b, 2 a=3", silent: true},
		{name: "a silent beginning after which something was lost", story: "1 +b, 2 a=3", silent: true, change: func(m []events.Message) []events.Message {
			edit(t, &m[1], func(e *events.Event) { e.Data.Version = 3 })
			return m
		}, want: "not-live@2"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			messages := story(t, "A", tt.story)
			if tt.change != nil {
				messages = tt.change(messages)
			}
			v := events.NewVerifier("live")
			v.SilentBeginnings = tt.silent
			var got []string
			for _, m := range messages {
				for _, f := range v.Check(m) {
					got = append(got, fmt.Sprintf("%s@%d", f.Kind, f.Sequence))
				}
			}
			if s := strings.Join(got, " "); s != tt.want {
				t.Errorf("faults %q, want %q", s, tt.want)
			}
			if s := v.Summary(); s.Messages != uint64(len(messages)) || s.Faults != uint64(len(got)) {
				t.Errorf("summary %+v of %d messages, %d faults", s, len(messages), len(got))
			}
		})
	}
}

// A million events of few rooms take no more memory than a thousand.
func TestVerifierForgetsEvents(t *testing.T) {
	v := events.NewVerifier("live")
	e := event("A", 1, events.RoomCreated, "a")
	var before, after runtime.MemStats
	const n = 30_000
	for i := range uint64(n) {
		if i > 0 {
			e.Type, e.Data.Version = events.ViewCountChanged, i+1
			old := e.Data.Room.ViewCount
			e.Data.Previous = &events.Previous{ViewCount: &old}
			e.Data.Room.ViewCount++
		}
		e.ID, e.Sequence = fmt.Sprintf("A-%016d", i+1), fmt.Sprintf("%016d", i+1)
		if f := v.Check(message(t, i+1, e)); len(f) > 0 {
			t.Fatal(f)
		}
		if i == 1000 {
			runtime.GC()
			runtime.ReadMemStats(&before)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 1<<20 {
		t.Errorf("%d events took %d bytes", n, grown)
	}
	if s := v.Summary(); s.Events != n || s.Rooms != 1 || s.Live != 1 {
		t.Errorf("summary %+v", s)
	}
}

// A subject of a build before the first release, which wrote % for =, is told as that.
func TestSubjectOfABuildBeforeTheRelease(t *testing.T) {
	m := message(t, 1, event("E", 1, events.RoomCreated, "a.b"))
	for subject, told := range map[string]bool{"live.room.created.88888888.a%2Eb": true, "live.room.created.88888888.a%2eb": false} {
		m.Subject = subject
		faults := events.NewVerifier("live").Check(m)
		if len(faults) != 1 || faults[0].Kind != events.WrongPlace || !strings.Contains(faults[0].Text, "live.room.created.88888888.a=2Eb") ||
			strings.Contains(faults[0].Text, "a build before the first release") != told {
			t.Errorf("%s: %v", subject, faults)
		}
	}
}
