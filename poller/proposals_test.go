package poller

import (
	"testing"
	"time"

	"roomwatch/diff"
)

// A room that is proposed while it is read is read again three seconds after the
// answer, and never twice at once.
func TestProposedWhileRead(t *testing.T) {
	start := time.Now()
	at := func(seconds float64) time.Time { return start.Add(time.Duration(seconds * float64(time.Second))) }
	type step struct {
		at  float64
		do  string // propose, next, done, begin
		due bool   // of next: the room is to be read now
	}
	for name, steps := range map[string][]step{
		"answered soon": {{0, "propose", false}, {0, "next", true}, {0.1, "propose", false}, {0.9, "done", false},
			{0.9, "propose", false}, {3.5, "next", false}, {3.9, "next", true}},
		"answered late": {{0, "propose", false}, {0, "next", true}, {0.1, "propose", false}, {3.5, "next", false},
			{4, "done", false}, {6.5, "next", false}, {7, "next", true}},
		"a control is its read": {{0, "propose", false}, {0, "begin", false}, {0, "next", false}, {1, "done", false}, {9, "next", false}},
	} {
		fates := map[string]int{}
		q := newProposals(func(_ diff.Source, fate string) { fates[fate]++ })
		for i, s := range steps {
			switch s.do {
			case "propose":
				q.propose(diff.Proposal{RoomID: "a"}, at(s.at))
			case "begin":
				q.begin("a")
			case "done":
				q.done("a", at(s.at))
			case "next":
				if _, _, due := q.next(at(s.at)); due != s.due {
					t.Errorf("%s, step %d: due at %v s: %t", name, i, s.at, due)
				}
			}
		}
		if fates[fateRead] == 0 {
			t.Errorf("%s: %v", name, fates)
		}
	}
}
