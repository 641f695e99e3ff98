package events_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"roomwatch/publisher/events"
)

func TestDecodeRefuses(t *testing.T) {
	e := event("A", 42, events.RoomCreated, "r")
	body, err := events.Encode(e)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct{ name, old, new, says string }{
		{name: "no JSON", old: string(body), new: "hello", says: "invalid character"},
		{name: "cut off", old: `"sweep":1}}`, says: "unexpected end"},
		{name: "another specification", old: `"1.0"`, new: `"2.0"`, says: `specversion is "2.0"`},
		{name: "no type", old: `"type":"room.created"`, new: `"x":0`, says: "type is missing"},
		{name: "an id that is none", old: `"id":"A-`, new: `"id":"A_`, says: `<epoch>-<sequence of 16 digits>`},
		{name: "sequence of another event", old: `"sequence":"0000000000000042"`, new: `"sequence":"0000000000000043"`, says: "the id says 0000000000000042"},
		{name: "another source", old: "/live/88888888", new: "/dead/88888888", says: "want /live/<sdkappid>"},
		{name: "no room", old: `"RoomId":"r"`, new: `"x":0`, says: "RoomId is missing"},
		{name: "subject of another room", old: `"subject":"r"`, new: `"subject":"q"`, says: `subject is "q"`},
		{name: "no version", old: `"version":1`, new: `"x":0`, says: "version is missing"},
		{name: "created with a version", old: `"version":1`, new: `"version":2`, says: "version is 2 in a room.created"},
		{name: "no sweep", old: `"sweep":1`, new: `"x":0`, says: "sweep is missing"},
		{name: "a time that is none", old: `"time":"2026`, new: `"time":"x`, says: "parsing time"},
		{name: "no time", old: `"time"`, new: `"x"`, says: "time is missing"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			wrong := strings.Replace(string(body), tt.old, tt.new, 1)
			_, err := events.Decode([]byte(wrong))
			if !errors.Is(err, events.ErrNotEvent) || !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), "\n") {
				t.Errorf("Decode(%s): %v, want one line with %q", wrong, err, tt.says)
			}
		})
	}
}

// Later versions add: fields are skipped, and a type is told apart from nonsense.
func TestDecodeTakesWhatLaterVersionsAdd(t *testing.T) {
	e := event("A", 42, events.RoomUpdated, "r")
	e.Data.Version = 2
	body, err := events.Encode(e)
	if err != nil {
		t.Fatal(err)
	}
	more := strings.Replace(string(body), `"RoomName"`, `"Mood":{"is":["good"]},"RoomName"`, 1)
	if got, err := events.Decode([]byte(more)); err != nil || got.ID != e.ID {
		t.Errorf("Decode with another field: %+v, %v", got, err)
	}
	later := strings.Replace(string(body), "room.updated", "room.paused", 1)
	got, err := events.Decode([]byte(later))
	if !errors.Is(err, events.ErrUnknownType) || errors.Is(err, events.ErrNotEvent) || got.ID != e.ID || got.Type != "room.paused" {
		t.Errorf("Decode of another type: %+v, %v", got, err)
	}
}

func TestEventMarshals(t *testing.T) {
	e := event("A", 42, events.RoomCreated, "r")
	e.Data.Room.RoomName = "<b> & \u2028"
	b, err := json.Marshal([]events.Event{e})
	if err != nil {
		t.Fatal(err)
	}
	var got []events.Event
	if err := json.Unmarshal(b, &got); err != nil || len(got) != 1 || got[0].Data.Room.RoomName != e.Data.Room.RoomName {
		t.Errorf("%s: %v", b, err)
	}
	if !strings.Contains(string(b), `"time":"2026-11-23T08:00:00.000Z"`) {
		t.Errorf("%s: the time has no milliseconds", b)
	}
}

func TestFilters(t *testing.T) {
	for _, tt := range []struct {
		types []events.Type
		app   int
		rooms []string
		want  []string
	}{
		{want: []string{"live.*.*.*.*"}},
		{types: []events.Type{events.RoomEnded, events.RoomEnded}, app: 7, want: []string{"live.room.ended.7.*"}},
		{types: []events.Type{events.RoomEnded, events.RoomCreated}, rooms: []string{"a.b", "ü", "a.b"}, want: []string{
			"live.room.ended.*.a=2Eb", "live.room.ended.*.=C3=BC", "live.room.created.*.a=2Eb", "live.room.created.*.=C3=BC",
		}},
	} {
		if got := events.Filters("live", tt.types, tt.app, tt.rooms); !slices.Equal(got, tt.want) {
			t.Errorf("Filters(%v, %d, %v) = %q, want %q", tt.types, tt.app, tt.rooms, got, tt.want)
		}
	}
}
