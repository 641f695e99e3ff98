package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"roomwatch/cmd/roomaudit/trail"
	"roomwatch/publisher/events"
)

// asCSV is a copy with one event, all of whose texts a stranger has chosen.
func asCSV(t *testing.T, text string) string {
	t.Helper()
	var out bytes.Buffer
	p := csvPrinter(&out)
	e := events.Event{ID: text, Type: events.Type(text), Data: events.Data{
		Room: events.Room{RoomID: text, OwnerAccount: text, RoomName: text}, Evidence: &events.Evidence{By: text, Requests: []string{text, text}},
	}}
	must(t, p.print(trail.Line{Line: 1, Stored: time.Unix(0, 0)}, nil, e))
	must(t, p.flush())
	return out.String()
}

// wantNoFormula fails if any reader takes anything of a copy for a formula: each
// splits where it likes, and drops blanks.
func wantNoFormula(t *testing.T, text string) {
	t.Helper()
	for cell := range strings.FieldsFuncSeq(asCSV(t, text), func(r rune) bool { return strings.ContainsRune(",;|\"\t\r\n\v\f\u0085\u2028\u2029", r) }) {
		cell = strings.TrimFunc(cell, func(r rune) bool { return r == ' ' || hidden(r) })
		if cell != "" && strings.ContainsRune("=+-@＝＋－＠", []rune(cell)[0]) {
			t.Errorf("%q gives the cell %q", text, cell)
		}
	}
}

func TestNoFormulaInAnyReader(t *testing.T) {
	for _, text := range []string{"=1", "hello;=1+1", "a\t@b", "a\n=1", "a\r\n+1", `a"=1"`, `a;"=1"`, "a, -1", "a|=1", ";;=1", "; =1", "\u200b=1", ";\u200b=1", "\x00=1", "＝1", "a\u2028=1", "\v=1"} {
		wantNoFormula(t, text)
	}
	for _, text := range []string{"a-b", "a = b", "1+1", "房 - é", "it's"} { // nothing to hide
		if got := cell(text); got != text {
			t.Errorf("%q becomes %q", text, got)
		}
	}
}

func FuzzNoFormula(f *testing.F) {
	f.Add("hello;=1+1")
	f.Add("\t\"=")
	f.Fuzz(func(t *testing.T, text string) { wantNoFormula(t, text) })
}

// The times of a copy sort as text.
func TestTimesOfOneWidth(t *testing.T) {
	at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for _, format := range []func(time.Time) string{storedTime, eventTime} {
		var before string
		for _, d := range []time.Duration{0, time.Millisecond, 120 * time.Millisecond, time.Second} {
			now := format(at.Add(d))
			if now <= before || len(now) != len(format(at)) {
				t.Errorf("%s after %s", now, before)
			}
			before = now
		}
	}
}
