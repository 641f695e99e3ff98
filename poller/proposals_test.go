package poller

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
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

// While all classes wait, absences get half of the reads, hidden rooms a fifth and
// callbacks no more than a quarter. What one does not need the others have, but callbacks
// get no more while anything else waits.
func TestClassesShareTheRate(t *testing.T) {
	sources := map[string]diff.Source{"absent": diff.MissedBySweep, "told": diff.ToldByCallback, "hidden": diff.HiddenRoom, "other": diff.ShownAgain}
	for _, tt := range []struct {
		waiting string
		want    map[string]int // of 400 reads
	}{
		{"absent hidden told other", map[string]int{"absent": 200, "hidden": 80, "told": 80, "other": 40}},
		{"absent hidden told", map[string]int{"absent": 228, "hidden": 92, "told": 80}},
		{"absent told", map[string]int{"absent": 320, "told": 80}},
		{"hidden told", map[string]int{"hidden": 320, "told": 80}},
		{"hidden other", map[string]int{"hidden": 267, "other": 133}},
		{"told", map[string]int{"told": 400}},
		{"hidden", map[string]int{"hidden": 400}},
	} {
		now := time.Now()
		q := newProposals(func(diff.Source, string) {})
		for i := range 500 {
			for name := range strings.FieldsSeq(tt.waiting) {
				q.propose(diff.Proposal{RoomID: fmt.Sprint(name, " ", i), Source: sources[name]}, now)
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
		for name := range sources {
			if d := got[name] - tt.want[name]; d < -1 || d > 1 {
				t.Errorf("%s wait: reads %v, want %v", tt.waiting, got, tt.want)
				break
			}
		}
	}
}

// A minute of reads while everything waits, and one in which hidden rooms are alone: then
// each of a thousand is read, and none within five seconds.
func TestHiddenRoomsGetTheirReads(t *testing.T) {
	for _, alone := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			q := newProposals(func(diff.Source, string) {})
			hidden, told, all := map[string]time.Time{}, 0, 0
			for i := range 60 * 50 {
				now := time.Now()
				if i%50 == 0 {
					for n := range 1000 {
						q.propose(diff.Proposal{RoomID: fmt.Sprint("hidden ", n), Source: diff.HiddenRoom}, now)
					}
				}
				for n := range 20 {
					if alone {
						break
					}
					q.propose(diff.Proposal{RoomID: fmt.Sprint("absent ", i, " ", n), Source: diff.MissedBySweep}, now)
					q.propose(diff.Proposal{RoomID: fmt.Sprint("told ", i, " ", n), Source: diff.ToldByCallback}, now)
				}
				id, _, ok := q.next(now)
				time.Sleep(20 * time.Millisecond)
				if !ok {
					continue
				}
				q.done(id, diff.Hidden, time.Now())
				all++
				switch class, _, _ := strings.Cut(id, " "); class {
				case "told":
					told++
				case "hidden":
					if last, ok := hidden[id]; ok && now.Sub(last) < hiddenApart {
						t.Errorf("%s is read again after %s", id, now.Sub(last))
					}
					hidden[id] = time.Now()
				}
			}
			if alone && len(hidden) < 1000 || !alone && (len(hidden) < all/5 || told > all/4) {
				t.Errorf("alone %t: %d reads, of %d hidden rooms and %d for callbacks", alone, all, len(hidden), told)
			}
		})
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
	if n := reads(300); n < 59 || n > 61 {
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

// A class that has nothing to read while others have all saves nothing up.
func TestClassSavesNothingUp(t *testing.T) {
	sources := map[string]diff.Source{"absent": diff.MissedBySweep, "told": diff.ToldByCallback, "hidden": diff.HiddenRoom}
	for _, tt := range []struct {
		first, second string
		want          int // of 300 reads, those of the second when both wait
	}{{"absent", "hidden", 86}, {"hidden", "absent", 214}, {"told", "absent", 240}, {"absent", "told", 60}} {
		now := time.Now()
		q := newProposals(func(diff.Source, string) {})
		propose := func(name string, n int) {
			for i := range n {
				q.propose(diff.Proposal{RoomID: fmt.Sprint(name, " ", i), Source: sources[name]}, now)
			}
		}
		propose(tt.first, 1000)
		for range 500 {
			q.next(now)
		}
		propose(tt.second, 500)
		n := 0
		for range 300 {
			if id, _, _ := q.next(now); strings.HasPrefix(id, tt.second) {
				n++
			}
		}
		if n < tt.want-2 || n > tt.want+2 {
			t.Errorf("%s, then %s: %d of 300 reads, want %d", tt.first, tt.second, n, tt.want)
		}
	}
}

// A hidden room is read at most every five seconds, others every three.
func TestTimeBetweenReads(t *testing.T) {
	start := time.Now()
	for source, want := range map[diff.Source]time.Duration{diff.HiddenRoom: 5 * time.Second, diff.MissedBySweep: 3 * time.Second, diff.AskedAgain: 0} {
		for _, late := range []bool{false, true} { // proposed before the answer, or after it
			q := newProposals(func(diff.Source, string) {})
			q.begin("a")
			if !late {
				q.propose(diff.Proposal{RoomID: "a", Source: source}, start)
			}
			q.done("a", diff.Hidden, start)
			if late {
				q.propose(diff.Proposal{RoomID: "a", Source: source}, start)
			}
			if _, wait, _ := q.next(start); wait != want && late || wait < want {
				t.Errorf("%s is due in %s", source, wait)
			}
		}
	}
}
