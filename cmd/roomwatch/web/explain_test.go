package web

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// noon is the day of the explanations in the tests; clock is a moment of it.
func clock(s string) Time {
	t, err := time.Parse(time.DateTime, "2026-11-30 "+s)
	if err != nil {
		panic(err)
	}
	return Time{t}
}

// liveRoom returns an explanation of a live room, whose sweeps have missed nothing.
func liveRoom(edit func(*Explanation)) Explanation {
	told := int64(90)
	e := Explanation{
		RoomID: "a", Now: clock("14:02:12"), State: StateLive, Told: &told,
		Room:    &Room{RoomID: "a", CreateTime: clock("13:00:00").Unix(), FirstSeen: clock("13:00:04"), ViewCount: 120, Version: 3},
		Listed:  &Listed{Sweep: 811, Newest: true, Began: clock("14:01:58")},
		Absence: &RoomAbsence{Needed: 3, Span: 10, MissRate: 0.0012, Guard: SweepGuard{Needed: 5}},
		Reads:   &RoomReads{Answering: true, Witnesses: []Witness{}, Controllable: true},
	}
	if edit != nil {
		edit(&e)
	}
	return e
}

func missed(e *Explanation) {
	e.Room.Missing, e.Listed = &Missing{Sweeps: 1, LastSeen: clock("14:01:58")}, &Listed{Sweep: 811}
	a := e.Absence
	a.Sweeps, a.First, a.Newest, a.Number, a.Waits = 1, clock("14:02:08"), clock("14:02:08"), 812, true
}

// Each thing that is known has its sentence, and nothing else has one.
func TestWords(t *testing.T) {
	began := "It is live. It began at 13:00:00Z (CreateTime 1796043600), first seen at 13:00:04Z; its last event has version 3."
	counted := "It was seen last with 120 views; the last published count is 90."
	shown := "Sweep 811, the newest complete one, which began at 14:01:58Z, has shown it."
	live := []string{began, counted, shown}
	bySweeps := []string{began, counted, "Sweep 811 has shown it, and none since.", "Missed by the newest complete sweep, no. 812, which began at 14:02:08Z.",
		"Sweeps end it when 3 in a row have missed it, the first and the last of them at least 10s apart: so far 1 has. (A sweep misses 0.12 % of the live rooms.)"}
	waits := "Before sweeps end it, they wait for what point reads of it say."
	second := "Read at 14:02:11Z: gone, second read due at 14:02:14Z."
	readGone := func(e *Explanation) {
		missed(e)
		e.Reads.Last = &RoomRead{At: clock("14:02:11"), Outcome: "gone"}
	}
	for name, tt := range map[string]struct {
		e    Explanation
		want []string
	}{
		"live": {liveRoom(nil), live},
		"as told, and on its way": {liveRoom(func(e *Explanation) {
			*e.Told, e.Room.ViewCount, e.Room.FirstSeen = 1, 1, Time{}
			e.Listed = &Listed{Sweep: 812, Current: true, Began: clock("14:02:08")}
		}), []string{strings.Replace(began, ", first seen at 13:00:04Z", "", 1), "It was seen last with 1 view, which is published.", "Sweep 812, which is on its way since 14:02:08Z, has shown it."}},
		"after a start":         {liveRoom(func(e *Explanation) { e.Listed = nil }), []string{began, counted, "No page since the start of roomwatch has shown it yet."}},
		"began the day before":  {liveRoom(func(e *Explanation) { e.Room.CreateTime -= 24 * 3600 }), []string{strings.Replace(began, "13:00:00Z (CreateTime 1796043600)", "2026-11-29 13:00:00Z (CreateTime 1795957200)", 1), counted, shown}},
		"read with its outcome": {liveRoom(func(e *Explanation) { e.Reads.Last = &RoomRead{At: clock("14:02:00"), Outcome: "live"} }), append(slices.Clone(live), "Read at 14:02:00Z: it lives, and the list shows it.")},
		"hidden": {liveRoom(func(e *Explanation) {
			e.State, e.Room.Hidden, e.Listed = StateHidden, true, nil
			e.Reads.Waiting = &Proposed{Source: "hidden", Class: "hidden", Since: clock("14:02:10"), Due: clock("14:02:10"), Before: 7}
		}), []string{strings.Replace(began, "It is live.", "It is live and hidden: point reads show it, the list does not.", 1), counted,
			"Proposed for a read since 14:02:10Z, because it is hidden: due at 14:02:10Z, with 7 rooms of its class (hidden) before it."}},
		"missed once": {liveRoom(missed), append(slices.Clone(bySweeps), waits)},
		"missed before the start": {liveRoom(func(e *Explanation) {
			missed(e)
			e.Listed, e.Absence.Number, e.Absence.Waits = nil, 0, false
		}), append(slices.Clone(bySweeps[:2]), "Missed by the newest complete sweep which began at 14:02:08Z.", bySweeps[4])},
		"guarded": {liveRoom(func(e *Explanation) {
			missed(e)
			e.Absence.Sweeps, e.Absence.First, e.Absence.Guard = 2, clock("14:01:58"), SweepGuard{Active: true, Agree: 2, Needed: 5}
		}), append(slices.Clone(bySweeps[:3]), "Missed by the last 2 complete sweeps: the first began at 14:01:58Z, the newest, no. 812, at 14:02:08Z.",
			strings.Replace(bySweeps[4], "so far 1 has", "so far 2 have, 10s apart", 1),
			"So many rooms are missing at once that nothing ends by sweeps until 5 complete sweeps in a row agree; so far: 2.", waits)},
		"passed": {liveRoom(func(e *Explanation) { e.Absence.Passed = true }), append(slices.Clone(live), "The sweep on its way is two pages past its place and has not shown it.")},
		"second read due": {liveRoom(func(e *Explanation) {
			readGone(e)
			e.Reads.Witnesses = []Witness{{clock("14:02:11"), "read"}}
			e.Reads.Waiting = &Proposed{Source: "asked_again", Class: "absences", Since: clock("14:02:11"), Due: clock("14:02:14")}
		}), append(slices.Clone(bySweeps), waits, second, "Its end needs two witnesses; one says that it does not exist: the read at 14:02:11Z.")},
		"waits for a control": {liveRoom(func(e *Explanation) {
			readGone(e)
			e.Reads.Reading = true
			e.Reads.Witnesses = []Witness{{clock("14:02:05"), "callback"}, {clock("14:02:11"), "read"}}
			e.Callback = &RoomCallback{At: clock("14:02:05"), Kind: "destroyed"}
		}), append(slices.Clone(bySweeps), waits, "Read at 14:02:11Z: gone.", "A read of it is on its way.",
			"Two witnesses say that it does not exist: the callback at 14:02:05Z and the read at 14:02:11Z.",
			"Its end waits for a control: a read that finds a room which lives.", "A callback has come at 14:02:05Z: destroyed.")},
		"no control": {liveRoom(func(e *Explanation) {
			readGone(e)
			e.Reads.Controllable = false
			e.Reads.Witnesses = []Witness{{clock("14:02:05"), "read"}, {clock("14:02:11"), "read"}}
		}), append(slices.Clone(bySweeps), waits, "Read at 14:02:11Z: gone.",
			"Two witnesses say that it does not exist: the read at 14:02:05Z and the read at 14:02:11Z.",
			"Its end waits for a control, and no room was shown of late that could be read for one: sweeps decide.")},
		"held back": {liveRoom(func(e *Explanation) {
			readGone(e)
			e.Reads.Proved, e.Reads.HeldBack = true, true
			e.Reads.Witnesses = []Witness{{clock("14:02:05"), "read"}, {clock("14:02:11"), "read"}}
		}), append(slices.Clone(bySweeps), waits, "Read at 14:02:11Z: gone.",
			"Two witnesses say that it does not exist: the read at 14:02:05Z and the read at 14:02:11Z.",
			"Its end is proved and held back: so many rooms are gone at once that their share has to be proved first.")},
		"void": {liveRoom(func(e *Explanation) {
			readGone(e)
			e.Reads.Last.Void, e.Reads.VoidSince = clock("14:02:12"), clock("14:02:12")
		}), append(slices.Clone(bySweeps), waits, "Read at 14:02:11Z: gone. That is void: the control at 14:02:12Z did not find a room that lives.",
			"No read that finds no room counts now: the control at 14:02:12Z did not find a room that lives.")},
		"refused": {liveRoom(func(e *Explanation) {
			e.Reads = &RoomReads{Refused: &Lasting{clock("14:00:00"), "status 404"}, Retry: clock("14:10:00"), Controllable: true}
		}), append(slices.Clone(live), "The service refuses point reads since 14:00:00Z: status 404. Sweeps alone decide; reads are tried again at 14:10:00Z.")},
		"no answers": {liveRoom(func(e *Explanation) {
			e.Reads.Answering, e.Reads.Failed, e.Reads.FailedAt = false, 2, clock("14:02:01")
			e.Reads.Last = &RoomRead{At: clock("14:02:01"), Outcome: "no_answer"}
		}), append(slices.Clone(live), "Point reads get no definite answers: sweeps alone decide until one does.", "Read at 14:02:01Z: no definite answer.",
			"2 reads of it said nothing definite since one has shown it, the newest at 14:02:01Z.")},
		"reads are off": {liveRoom(func(e *Explanation) { e.Reads = nil }), append(slices.Clone(live), "Point reads are off (ROOMWATCH_POINT_READS_PER_SECOND is 0): sweeps alone decide.")},
		"newer life": {liveRoom(func(e *Explanation) { e.Reads.Newer = &NewerLife{CreateTime: 1796048000, Listed: true} }), append(slices.Clone(live),
			"A newer life (CreateTime 1796048000) waits for its proof: a page has shown it, and no read yet.")},
		"newer life, read": {liveRoom(func(e *Explanation) { e.Reads.Newer = &NewerLife{CreateTime: 1796048000, Read: clock("14:02:01")} }), append(slices.Clone(live),
			"A newer life (CreateTime 1796048000) waits for its proof: a read at 14:02:01Z has shown it, and no page yet.")},
		"an earlier life": {liveRoom(func(e *Explanation) { e.End = &End{CreateTime: 7, Told: clock("12:00:00"), By: "info"} }), []string{began,
			"An earlier life has ended (CreateTime 7): reported at 12:00:00Z, proved by point reads.", counted, shown}},
		"shown again": {liveRoom(func(e *Explanation) {
			e.End = &End{CreateTime: e.Room.CreateTime, Told: clock("14:00:00"), By: "sweeps", Missed: 1}
		}), []string{began,
			"It was reported as ended, and shown again later (CreateTime 1796043600): reported at 14:00:00Z, after 1 complete sweep had missed it.", counted, shown}},
		"ended": {Explanation{Now: clock("14:02:12"), State: StateEnded, End: &End{CreateTime: 7, Told: clock("12:00:00")}, Reads: &RoomReads{Answering: true}},
			[]string{"It has ended (CreateTime 7): reported at 12:00:00Z, what proved it is not remembered."}},
		"proposed by a callback": {Explanation{Now: clock("14:02:12"), State: StateUnknown, Callback: &RoomCallback{At: clock("14:02:11"), Kind: "created"}, Reads: &RoomReads{Answering: true,
			Waiting: &Proposed{Source: "callback", Class: "callbacks", Since: clock("14:02:11"), Due: clock("14:02:11"), Before: 1}}},
			[]string{"It is not known to be live, and no end of it is remembered.",
				"Proposed for a read since 14:02:11Z, because a callback has named it: due at 14:02:11Z, with 1 room of its class (callbacks) before it.", "A callback has come at 14:02:11Z: created."}},
		"read and hidden": {Explanation{Now: clock("14:02:12"), State: StateUnknown, Callback: &RoomCallback{At: clock("14:02:11"), Kind: "created", Seen: true}, Reads: &RoomReads{Answering: true,
			Last: &RoomRead{At: clock("14:02:11"), Outcome: "hidden"}}},
			[]string{"It is not known to be live, and no end of it is remembered.",
				"Read at 14:02:11Z: it lives, and the list does not show it. A hidden room that is not known becomes known when the list shows it.",
				"A callback has come at 14:02:11Z: created, and the room was shown since."}},
	} {
		if got := tt.e.words(); !slices.Equal(got, tt.want) {
			t.Errorf("%s:\n%s\nwant\n%s", name, strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
		}
	}
}

// A RoomID of any characters can be asked for, also one that no path can have.
func TestExplainOddRoomIDs(t *testing.T) {
	var asked string
	r := newRig(t, func(c *Config) {
		c.Explain = func(id string) (Explanation, bool, error) {
			asked = id
			if id == "broken" {
				return Explanation{}, false, errors.New("disk on fire")
			}
			return Explanation{RoomID: id, Now: clock("14:02:12"), State: StateUnknown}, id != "nowhere", nil
		}
	}).serve()
	for _, id := range []string{"a.b.c", "with space", "*", "%2E", "a%2Fb", "a/b", "/", "a//b", "a/../b", ".", "..", "直播间", "👩\u200d🎤", "?q=1&room=x", "#x", "+", "tab\there", `quote"\`, "\x00", ";", "{id}"} {
		status, _, body := r.get("/api/v1/explain?room=" + url.QueryEscape(id))
		var e Explanation
		if err := json.Unmarshal([]byte(body), &e); err != nil || status != http.StatusOK || e.RoomID != id || asked != id || len(e.Sentences) == 0 {
			t.Errorf("%q: %d %s", id, status, body)
		}
	}
	for query, want := range map[string]int{
		"": 400, "?room=": 400, "?room=a&room=b": 400, "?id=a": 400, "?room=%zz": 400, "?room=nowhere": 404, "?room=broken": 500,
	} {
		if status, _, body := r.get("/api/v1/explain" + query); status != want || strings.Contains(body, "fire") || !strings.Contains(body, `"error"`) {
			t.Errorf("%q: %d %s, want %d", query, status, body, want)
		}
	}
}
