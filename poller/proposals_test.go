package poller

import (
	"fmt"
	"strings"
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
		outcomes := map[string]int{}
		q := newProposals(func(_ diff.Source, outcome string) { outcomes[outcome]++ })
		for i, s := range steps {
			switch s.do {
			case "propose":
				q.propose(diff.Proposal{RoomID: "a"}, at(s.at))
			case "begin":
				q.begin("a")
			case "done":
				q.done("a", diff.Gone, at(s.at))
			case "next":
				if _, _, due := q.next(at(s.at)); due != s.due {
					t.Errorf("%s, step %d: due at %v s: %t", name, i, s.at, due)
				}
			}
		}
		if outcomes[outcomeRead] == 0 {
			t.Errorf("%s: %v", name, outcomes)
		}
	}
}

// While all classes wait, absences get half of the reads and callbacks a quarter.
func TestClassesShareTheRate(t *testing.T) {
	now := time.Now()
	q := newProposals(func(diff.Source, string) {})
	for i := range 1000 {
		for name, s := range map[string]diff.Source{"absent": diff.MissedBySweep, "told": diff.ToldByCallback, "told again": diff.ToldOtherwise, "other": diff.HiddenRoom} {
			q.propose(diff.Proposal{RoomID: fmt.Sprint(name, " ", i), Source: s}, now)
		}
	}
	got := map[string]int{}
	for range 400 {
		id, _, ok := q.next(now)
		if !ok {
			t.Fatal("nothing is due")
		}
		class, _, _ := strings.Cut(id, " ")
		got[class]++
	}
	if got["absent"] != 200 || got["told"] != 100 || got["other"] != 100 {
		t.Errorf("reads: %v", got)
	}
}

// A flood of callbacks holds nothing up: a room that is proposed as missing, too, is read
// among the missing ones, and where too many wait, the newest callbacks give way.
func TestFloodOfCallbacks(t *testing.T) {
	start := time.Now()
	outcomes := map[string]int{}
	q := newProposals(func(s diff.Source, outcome string) { outcomes[s.String()+" "+outcome]++ })
	for i := range maxProposals + 5 {
		q.propose(diff.Proposal{RoomID: fmt.Sprint("told ", i), Source: diff.ToldByCallback}, start.Add(time.Duration(i)))
	}
	later := start.Add(time.Second)
	q.propose(diff.Proposal{RoomID: "told 9000", Source: diff.MissedBySweep}, later)
	q.propose(diff.Proposal{RoomID: "missing", Source: diff.MissedBySweep}, later)
	if q.waiting["told 9999"] != nil || q.waiting["told 9998"] == nil || q.waiting["missing"] == nil {
		t.Error("it was not the newest callback that gave way")
	}
	if outcomes["callback dropped"] != 6 || outcomes["missed joined"] != 1 || outcomes["missed dropped"] != 0 {
		t.Errorf("outcomes %v", outcomes)
	}
	read := map[string]bool{}
	for range 6 {
		id, _, _ := q.next(later)
		read[id] = true
	}
	if !read["told 9000"] || !read["missing"] {
		t.Errorf("read first: %v", read)
	}
}

// A class whose rooms are only due later saves nothing up, either.
func TestClassThatWaitsForLater(t *testing.T) {
	now := time.Now()
	q := newProposals(func(diff.Source, string) {})
	q.propose(diff.Proposal{RoomID: "later", Source: diff.ToldOtherwise, Due: now.Add(10 * time.Second)}, now)
	reads := func(n int) (told int) {
		for range n {
			id, _, ok := q.next(now)
			if !ok {
				t.Fatal("nothing is due")
			}
			if strings.HasPrefix(id, "told") {
				told++
			}
		}
		return told
	}
	for i := range 1000 {
		q.propose(diff.Proposal{RoomID: fmt.Sprint("absent ", i), Source: diff.MissedBySweep}, now)
	}
	reads(500)
	for i := range 1000 {
		q.propose(diff.Proposal{RoomID: fmt.Sprint("told ", i), Source: diff.ToldByCallback}, now)
	}
	if n := reads(300); n < 99 || n > 101 {
		t.Errorf("%d of 300 reads are for callbacks, and absences wait", n)
	}
}

// A read that contradicts a callback is made again before three seconds are over.
func TestToldOtherwiseIsReadSoon(t *testing.T) {
	start := time.Now()
	q := newProposals(func(diff.Source, string) {})
	q.begin("a")
	q.done("a", diff.Gone, start)
	q.propose(diff.Proposal{RoomID: "a", Source: diff.ToldOtherwise, Due: start.Add(time.Second)}, start)
	if _, wait, ok := q.next(start); ok || wait != time.Second {
		t.Errorf("due in %s", wait)
	}
}
