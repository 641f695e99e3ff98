package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"roomwatch/cmd/roomaudit/trail"
	"roomwatch/publisher/events"
)

// minute is a time on the day of the tests.
func minute(text string) time.Time {
	t, err := time.Parse("15:04", text)
	if err != nil {
		panic(err) // a mistake in a test
	}
	return time.Date(2026, 11, 23, t.Hour(), t.Minute(), 0, 0, time.UTC)
}

// recordedAs makes a history of 10:00 to 20:00 from words: "created 11:00 as of 10:50",
// "views 11:30", "ended 12:00 since 11:58", "gap 15:00 15:30".
func recordedAs(t *testing.T, text string) *history {
	t.Helper()
	h := &history{spans: map[int]trail.Span{1400000000: {First: minute("10:00"), Last: minute("20:00")}}}
	var created time.Time
	for i, word := range strings.Split(text, ", ") {
		f := strings.Fields(word)
		if len(f) == 0 {
			continue
		}
		at := minute(f[1])
		if f[0] == "gap" {
			h.holes = append(h.holes, trail.Hole{Line: uint64(i + 1), Text: "a gap", After: at, Before: minute(f[2])})
			continue
		}
		e := events.Event{Source: "/live/1400000000", Time: at, Type: map[string]events.Type{"created": events.RoomCreated, "views": events.ViewCountChanged, "ended": events.RoomEnded}[f[0]]}
		if f[0] == "created" {
			created = minute(f[len(f)-1])
		}
		if len(f) == 4 && f[0] == "ended" {
			e.Data.Since = minute(f[3])
		}
		e.Data.Room.CreateTime = created.Unix()
		h.add(trail.Found{Line: trail.Line{Line: uint64(i + 1)}, Event: e})
	}
	return h
}

func TestWasItLive(t *testing.T) {
	const one = "created 11:00 as of 10:50, views 11:30, ended 12:00 since 11:58"
	for _, tt := range []struct {
		record, at string
		want       answer
		why        string
	}{
		{"", "15:00", no, "not on record"},
		{"", "09:59", unknown, "the record of application 1400000000 begins at 2026-11-23T10:00"},
		{"", "20:01", unknown, "the record of application 1400000000 ends at"},
		{"", "19:55", unknown, "the record of application 1400000000 ends at"},
		{one, "10:49", no, "no life"},
		{one, "10:50", yes, "since 2026-11-23T10:50"},
		{one, "11:58", yes, ""},
		{one, "11:59", unknown, "it ended between 2026-11-23T11:58:00Z"},
		{one, "12:00", no, ""},
		{one, "19:00", no, ""},
		{"created 11:00 as of 09:00", "09:30", yes, "since 2026-11-23T09:00"},
		{"created 11:00 as of 10:50, ended 12:00", "11:01", unknown, "it ended between"},
		{"created 11:00 as of 10:50", "19:50", yes, "no end is on record until 2026-11-23T20:00"},
		{"created 11:00 as of 10:50", "19:51", unknown, "the record of application 1400000000 ends at"},
		{"created 11:00 as of 10:50", "21:00", unknown, "the record of application 1400000000 ends at"},
		{"created 11:00 as of 10:50, gap 15:00 15:30", "14:49", yes, ""},
		{"created 11:00 as of 10:50, gap 15:00 15:30", "14:51", unknown, "its end may be in the gap at line 2"},
		{"created 11:00 as of 10:50, gap 15:00 15:30", "18:00", unknown, "its end may be in the gap"},
		{"created 11:00 as of 10:50, gap 15:00 15:30, views 18:00", "15:10", yes, "known to have been live at 2026-11-23T18:00"},
		{one + ", gap 15:00 15:30", "15:10", unknown, "it may have been live, or told of, in the gap"},
		{one + ", gap 15:00 15:30", "14:49", no, ""},
		{one + ", gap 15:00 15:30", "14:50", unknown, "it may have been live, or told of, in the gap"}, // and its beginning told there
		{one + ", gap 15:00 15:30", "15:30", unknown, "in the gap"},
		{"gap 15:00 15:30", "15:10", unknown, "in the gap"},
		{one + ", gap 15:00 15:30", "15:31", no, ""},
		{one + ", created 13:00 as of 12:30", "12:10", no, ""},
		{one + ", created 13:00 as of 12:30", "12:30", yes, ""},
		{one + ", created 12:00 as of 11:59, views 12:30", "11:59", yes, "since 2026-11-23T11:59"}, // recreated
	} {
		if is, why := recordedAs(t, tt.record).at(minute(tt.at)); is != tt.want || !strings.Contains(why, tt.why) {
			t.Errorf("%s: at %s: %s: %s; want %s: %s", tt.record, tt.at, is, why, tt.want, tt.why)
		}
	}
}

// The command answers from a trail, with what roomwatch itself says of its absence.
func TestRoomCommand(t *testing.T) {
	dir := t.TempDir()
	w, err := trail.Open(trail.Options{Dir: dir})
	must(t, err)
	seq := uint64(0)
	record := func(at time.Time, body string) {
		seq++
		must(t, w.Append(at, []trail.Message{{Seq: seq, Stored: at, Subject: "live.x", Body: []byte(body)}}))
	}
	told := func(at time.Time, kind string, version int, since, views string) {
		record(at, fmt.Sprintf(`{"specversion":"1.0","id":"01KAS8Z1Q2R3-%016[1]d","source":"/live/1400000000","type":"%[2]s","subject":"R","time":"%[3]s","sequence":"%016[1]d","datacontenttype":"application/json",`+
			`"data":{"room":{"RoomId":"R","RoomName":"n","Owner_Account":"o","CoverURL":"","Category":[],"CreateTime":%[4]d,"ActivityStatus":1,"ViewCount":%[5]s},"version":%[6]d,%[7]s"sweep":1,`+
			`"evidence":{"by":"list","requests":["req-%[1]d"]}}}`, seq+1, kind, at.Format(time.RFC3339), minute("10:50").Unix(), views, version, since))
	}
	told(minute("11:00"), "room.created", 1, "", "7")
	told(minute("11:30"), "viewcount.changed", 2, "", "900")
	told(minute("12:00"), "room.ended", 3, `"since":"2026-11-23T11:58:00Z",`, "800")
	record(minute("14:00"), `{"type":"watch.resumed","source":"/live/1400000000","data":{"from":"2026-11-23T13:00:00Z","to":"2026-11-23T13:50:00Z","why":"stopped"}}`)
	record(minute("16:00"), `{"type":"x","source":"/live/1400000000"}`)
	must(t, w.Close())
	want := `room R of application 1400000000, owner o, name n
  began     2026-11-23T10:50:00Z, first seen 2026-11-23T11:00:00Z
  ended     after 2026-11-23T11:58:00Z, seen at 2026-11-23T12:00:00Z
  lasted    1h8m0s to 1h10m0s
  views     7 at first, 900 at most, 800 at last; 1 change on record
  evidence  of the begin: list, RequestId req-1
  evidence  of the end: list, RequestId req-3
  lines     2 to 4 of the trail
`
	if status, out, errs := call(t, dir, "room", "R"); status != 0 || out != want || errs != "" {
		t.Errorf("%d %s\n%s", status, out, errs)
	}
	for at, want := range map[string]string{
		"11:30": "yes: it was live since", "11:59": "unknown: it was live since 2026-11-23T10:50:00Z; it ended between", "12:30": "no: ", "13:20": "unknown: it may have been live, or told of, in the gap at line 5: nobody watched the rooms: stopped\n", "15:55": "unknown: the record of application 1400000000 ends",
	} {
		if status, out, errs := call(t, dir, "room", "R", "--at", minute(at).Format(time.RFC3339)); status != 0 || !strings.HasPrefix(out, want) {
			t.Errorf("at %s: %d %s%s", at, status, out, errs)
		}
	}
	if status, out, _ := call(t, dir, "room", "nobody"); status != 0 || out != "room nobody is not on record\n  record    of application 1400000000, from 2026-11-23T11:00:00Z to 2026-11-23T16:00:00Z\n" {
		t.Errorf("%d %s", status, out)
	}
	for _, args := range [][]string{{"room"}, {"room", "R", "--at", "yesterday"}} {
		if status, _, _ := call(t, dir, args...); status != 2 {
			t.Errorf("%v: %d", args, status)
		}
	}
}

// Each application is watched, and not watched, by itself.
func TestWasItLiveInWhichApplication(t *testing.T) {
	h := &history{
		spans: map[int]trail.Span{0: {First: minute("01:00"), Last: minute("23:00")}, 1: {First: minute("10:00"), Last: minute("12:00")}, 2: {First: minute("10:00"), Last: minute("20:00")}},
		holes: []trail.Hole{{Line: 7, Text: "nobody watched", App: 1, After: minute("10:10"), Before: minute("10:30")}},
	}
	live := func(app int, at string) {
		e := events.Event{Source: fmt.Sprintf("/live/%d", app), Time: minute(at), Type: events.RoomCreated}
		e.Data.Room.CreateTime = minute(at).Unix()
		h.add(trail.Found{Event: e})
	}
	ask := func(app int, at string, want answer, why string) {
		t.Helper()
		h.app = app
		if is, because := h.at(minute(at)); is != want || !strings.Contains(because, why) {
			t.Errorf("application %d at %s: %s: %s; want %s: %s", app, at, is, because, want, why)
		}
	}
	ask(1, "11:00", no, "not on record")
	ask(1, "12:30", unknown, "application 1 ends at 2026-11-23T12:00")
	ask(2, "12:30", no, "not on record")
	ask(0, "12:30", unknown, "application 1 ends at") // it may be in either
	ask(1, "10:20", unknown, "in the gap at line 7")
	ask(2, "10:20", no, "")
	ask(0, "10:20", unknown, "in the gap at line 7")
	ask(3, "11:00", unknown, "the record of application 3 is empty")
	h.app = 0
	live(1, "11:00")
	live(2, "11:00")
	h.lives[0].ended, h.lives[0].sign = minute("11:10"), minute("11:10")
	ask(0, "15:00", yes, "until 2026-11-23T20:00") // in application 2
	h.lives = h.lives[:1]
	h.lives[0].ended = time.Time{}
	ask(0, "15:00", unknown, "the record of application 1 ends at 2026-11-23T12:00")
	h.app, h.lives = 2, nil
	if live(1, "11:00"); len(h.lives) > 0 {
		t.Error("a life of another application is taken")
	}
	h.app, h.spans = 0, nil
	ask(0, "15:00", unknown, "nothing is on record")
}
