package events_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"roomwatch/publisher/events"
)

// told is a message of the watch.
func told(t *testing.T, seq uint64, name string, edit ...string) events.Message {
	t.Helper()
	body, err := os.ReadFile("testdata/v1/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	body = []byte(strings.NewReplacer(edit...).Replace(string(bytes.TrimSpace(body))))
	var e struct{ ID, Type string }
	if err := json.Unmarshal(body, &e); err != nil {
		t.Fatal(err)
	}
	return events.Message{Sequence: seq, Subject: "live." + e.Type + ".88888888", ID: e.ID, Body: body}
}

func TestGoldenWatch(t *testing.T) {
	a, err := events.DecodeAlive(told(t, 1, "watch.alive").Body)
	if err != nil {
		t.Fatal(err)
	}
	at := func(text string) time.Time {
		t.Helper()
		v, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	d := a.Data
	if !d.Watching || !d.Until.Equal(at("2026-11-23T08:00:52.310Z")) || d.Rooms != 415 || d.Missing != 1 || d.Hidden != 2 || d.Waiting != 0 || *d.Recall != 0.9993 ||
		*d.Sweep != (events.Sweep{Number: 17, Begin: at("2026-11-23T08:00:50.001Z"), End: at("2026-11-23T08:00:52.310Z"), Rooms: 412}) || a.App() != 88888888 {
		t.Errorf("alive: %+v", a)
	}
	if a, err = events.DecodeAlive(told(t, 1, "watch.alive.first").Body); err != nil || a.Data != (events.AliveData{}) {
		t.Errorf("the first: %+v, %v", a, err)
	}
	r, err := events.DecodeResumed(told(t, 1, "watch.resumed").Body)
	if err != nil || r.Data != (events.ResumedData{From: at("2026-11-23T08:00:52.310Z"), To: at("2026-11-23T08:10:01.120Z"), Why: "stopped"}) {
		t.Errorf("resumed: %+v, %v", r, err)
	}
}

// What tells of the watch is told apart from nonsense and from events of a room.
func TestDecodeToldOfTheWatch(t *testing.T) {
	for _, m := range []events.Message{told(t, 1, "watch.alive"), told(t, 1, "watch.resumed"), told(t, 1, "watch.alive", "watch.alive", "watch.later")} {
		if _, err := events.Decode(m.Body); !errors.Is(err, events.ErrWatch) || errors.Is(err, events.ErrNotEvent) {
			t.Errorf("Decode(%s): %v", m.Body, err)
		}
	}
	for _, m := range []events.Message{
		told(t, 1, "watch.resumed", `"why":"stopped"`, `"x":0`),
		told(t, 1, "watch.resumed", `"to":"2026-11-23T08:10:01.120Z"`, `"to":"2026-11-23T08:00:52.310Z"`),
		told(t, 1, "watch.resumed", "resumed-2026", "resumed-2027"),
		told(t, 1, "watch.alive", "watch.alive", "watch.resumed"),
	} {
		if r, err := events.DecodeResumed(m.Body); !errors.Is(err, events.ErrNotEvent) {
			t.Errorf("DecodeResumed(%s) = %+v, %v", m.Body, r, err)
		}
	}
	if a, err := events.DecodeAlive(told(t, 1, "watch.alive", "/live/", "/dead/").Body); !errors.Is(err, events.ErrNotEvent) {
		t.Errorf("DecodeAlive = %+v, %v", a, err)
	}
}

func TestVerifyWatch(t *testing.T) {
	later := []string{"08:00:52.310", "08:10:30.000", "08:10:01.120", "08:30:00.000"} // the gap after that of the file
	with := func(edit func(*events.Message), m events.Message) events.Message { edit(&m); return m }
	tests := []struct {
		name     string
		messages []events.Message
		want     []events.Kind
	}{
		{name: "all is well", messages: []events.Message{told(t, 1, "watch.alive.first"), told(t, 2, "watch.resumed"), told(t, 3, "watch.alive"), told(t, 4, "watch.resumed", later...)}},
		{name: "of two applications", messages: []events.Message{told(t, 1, "watch.resumed"),
			with(func(m *events.Message) { m.Subject, m.ID = "live.watch.resumed.99999999", "" }, told(t, 2, "watch.resumed", "88888888", "99999999"))}},
		{name: "told twice", messages: []events.Message{told(t, 1, "watch.resumed"), told(t, 2, "watch.resumed")}, want: []events.Kind{events.Doubled}},
		{name: "overlapping", messages: []events.Message{told(t, 1, "watch.resumed", later...), told(t, 2, "watch.resumed")}, want: []events.Kind{events.Backwards}},
		{name: "no gap", messages: []events.Message{told(t, 1, "watch.resumed", "08:10:01.120", "08:00:52.310")}, want: []events.Kind{events.Undecodable}},
		{name: "another id", messages: []events.Message{with(func(m *events.Message) { m.ID = "x" }, told(t, 1, "watch.alive"))}, want: []events.Kind{events.WrongID}},
		{name: "no id", messages: []events.Message{with(func(m *events.Message) { m.ID = "" }, told(t, 1, "watch.alive"))}, want: []events.Kind{events.WrongID}},
		{name: "another application's place", messages: []events.Message{with(func(m *events.Message) { m.Subject = "live.watch.alive.1" }, told(t, 1, "watch.alive"))}, want: []events.Kind{events.WrongPlace}},
		{name: "nonsense", messages: []events.Message{{Sequence: 1, Subject: "live.watch.alive.1", Body: []byte("x")}}, want: []events.Kind{events.Undecodable}},
		{name: "of a later version", messages: []events.Message{{Sequence: 1, Subject: "live.watch.later.1", Body: []byte("x")}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := events.NewVerifier("live")
			var got []events.Kind
			for _, m := range tt.messages {
				for _, f := range v.Check(m) {
					got = append(got, f.Kind)
				}
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("faults %q, want %q", got, tt.want)
			}
		})
	}
}

// An event of a gap says since when its change may have happened.
func TestVerifyGapNeedsSince(t *testing.T) {
	for since, want := range map[time.Time]int{start.Add(-time.Hour): 0, {}: 1} {
		e := event("A", 1, events.RoomCreated, "r")
		e.Data.Gap, e.Data.Since = true, since
		if faults := events.NewVerifier("live").Check(message(t, 1, e)); len(faults) != want {
			t.Errorf("since %v: %v", since, faults)
		}
	}
}
