package simulator_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"roomwatch/poller/simulator"
)

func allNext() []simulator.Next {
	return []simulator.Next{simulator.NextRank, simulator.NextKey, simulator.NextFrozen}
}

// In a still world each kind of Next shows each room once, in order, and the
// last page has an empty Next even when it is full.
func TestStillWorld(t *testing.T) {
	for _, next := range allNext() {
		for _, rooms := range []int{0, 1, 19, 20, 21, 40, 205} {
			t.Run(fmt.Sprintf("next %d, %d rooms", next, rooms), func(t *testing.T) {
				s := start(t, simulator.Config{Rooms: rooms, Next: next, Quota: -1})
				got := lines(sweep(t, s, 20, 0), show)
				if want := lines(s.Truth().Live(), showLife); got != want {
					t.Errorf("list:\n%s\ntruth:\n%s", got, want)
				}
				if n, want := s.Requests(), max(1, (rooms+19)/20); n != want {
					t.Errorf("%d requests, want %d", n, want)
				}
			})
		}
	}
}

// A list without rooms is [] and not null, and Category is left out when empty.
func TestEmptyValues(t *testing.T) {
	s := start(t, simulator.Config{})
	if a := ask(t, s, "", 20); a.Response == nil || a.Response.RoomList == nil {
		t.Errorf("answer %+v, want an empty RoomList", a)
	}
	must(t, s.Open("a"))
	for _, want := range []bool{false, true} {
		must(t, s.Edit("a", func(r *simulator.Room) {
			if r.Category = nil; want {
				r.Category = []int64{1}
			}
		}))
		w := send(s, request(t, "", "", "", nil))
		if got := strings.Contains(w.Body.String(), `"Category"`); got != want {
			t.Errorf("Category there: %v, want %v, in %s", got, want, w.Body)
		}
	}
}

// The hazard is real: in a moving world a sweep shows rooms twice or misses
// them, each kind of Next in its own way.
func TestMovingWorld(t *testing.T) {
	tests := []struct {
		next          simulator.Next
		missed, twice bool
	}{
		{next: simulator.NextRank, missed: true, twice: true},
		{next: simulator.NextKey, missed: true},
		{next: simulator.NextFrozen},
	}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			s := start(t, simulator.Config{Rooms: 240, Enters: 250, Next: tt.next})
			missed, twice := 0, 0
			for range 30 {
				seen := make(map[string]int)
				for _, r := range sweep(t, s, 20, 100*time.Millisecond) {
					seen[r.RoomId]++
				}
				missed += 240 - len(seen)
				for _, n := range seen {
					twice += n - 1
				}
				time.Sleep(100 * time.Millisecond)
			}
			if (missed > 0) != tt.missed || (twice > 0) != tt.twice {
				t.Errorf("next %d: %d missed and %d twice in 30 sweeps", tt.next, missed, twice)
			}
		})
	}
}

// NextFrozen shows the list of the first page, whatever happens meanwhile.
func TestFrozenCopy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := lively()
		c.Rooms, c.Opens, c.Next = 200, 20, simulator.NextFrozen
		s := start(t, c)
		for range 10 {
			want := lines(s.Truth().Live(), showLife)
			if got := lines(sweep(t, s, 20, time.Second), show); got != want {
				t.Fatalf("list:\n%s\ntruth at the first page:\n%s", got, want)
			}
		}
	})
}

// An edit is seen by the list alone: neither by a frozen copy, nor does it go
// on when it is over.
func TestEditIsAlone(t *testing.T) {
	s := start(t, simulator.Config{Next: simulator.NextFrozen})
	var kept []int64
	for _, id := range []string{"a", "b"} {
		must(t, s.Open(id))
		must(t, s.Edit(id, func(r *simulator.Room) { kept = []int64{1}; r.Category = kept }))
	}
	next := ask(t, s, "", 1).Response.Next
	kept[0] = 2
	must(t, s.Edit("b", func(r *simulator.Room) { r.Category[0] += 2 }))
	if b := ask(t, s, next, 1).Response.RoomList[0]; b.Category[0] != 1 {
		t.Errorf("frozen copy shows %s", show(b))
	}
	if b := s.Truth().Live()[1]; b.Category[0] != 3 {
		t.Errorf("the truth is %s", showLife(b))
	}
}

// Endless first pages do not fill the memory: only the last 16 copies are kept.
// Reading in one keeps it.
func TestFrozenCopiesExpire(t *testing.T) {
	s := start(t, simulator.Config{Rooms: 50, Next: simulator.NextFrozen, Quota: -1})
	used, unused := ask(t, s, "", 20).Response.Next, ask(t, s, "", 20).Response.Next
	for range 15 {
		ask(t, s, "", 20)
		if a := ask(t, s, used, 20); a.ErrorCode != 0 {
			t.Fatalf("a copy in use: %+v", a)
		}
	}
	if a := ask(t, s, unused, 20); a.ErrorCode != 100002 {
		t.Errorf("a copy unused for 16 first pages: %+v", a)
	}
}

// A list that became shorter than where reading goes on ends there.
func TestListShrinks(t *testing.T) {
	for _, next := range allNext() {
		s := start(t, simulator.Config{Rooms: 25, Next: next})
		first := ask(t, s, "", 20).Response
		for _, l := range s.Truth().Live() {
			must(t, s.Close(l.RoomID))
		}
		a := ask(t, s, first.Next, 20)
		want := 0
		if next == simulator.NextFrozen {
			want = 5
		}
		if a.ErrorCode != 0 || len(a.Response.RoomList) != want || a.Response.Next != "" {
			t.Errorf("next %d: %+v, want %d rooms and the end", next, a, want)
		}
	}
}

func TestUnknownNext(t *testing.T) {
	for _, next := range allNext() {
		s := start(t, simulator.Config{Rooms: 50, Next: next, Quota: -1})
		given := ask(t, s, "", 20).Response.Next
		wrong := []string{
			"1693271355-123123123123", " ", "0", given + "x", given[1:], "rank-", "rank-0", "rank--1", "key-", "key-1", "key-x-YQ",
			"key-1-?", "copy-1", "copy-1-", "copy-1-0", "copy-1-50", "copy-2-20", "copy-x-20", "copy-99999999999999999999-20",
		}
		wrong = slices.DeleteFunc(wrong, func(s string) bool { return s == given })
		for _, w := range wrong {
			if a := ask(t, s, w, 20); a.ErrorCode != 100002 {
				t.Errorf("next %d, %q: ErrorCode %d, want 100002", next, w, a.ErrorCode)
			}
		}
		if a := ask(t, s, given, 20); a.ErrorCode != 0 {
			t.Errorf("next %d, %q: ErrorCode %d", next, given, a.ErrorCode)
		}
	}
}

// A Next dies, unless it is given anew.
func TestNextDies(t *testing.T) {
	for _, next := range allNext() {
		synctest.Test(t, func(t *testing.T) {
			s := start(t, simulator.Config{Rooms: 100, Next: next, NextLife: time.Minute})
			first := ask(t, s, "", 20).Response.Next
			time.Sleep(time.Minute - time.Nanosecond)
			second := ask(t, s, first, 20).Response.Next
			time.Sleep(time.Nanosecond)
			if a := ask(t, s, first, 20); a.ErrorCode != 100002 {
				t.Errorf("next %d: a Next of a minute ago: %+v", next, a)
			}
			if a := ask(t, s, second, 20); a.ErrorCode != 0 {
				t.Errorf("next %d: a new Next: %+v", next, a)
			}
			if a := ask(t, s, "never given", 20); a.ErrorCode != 100002 {
				t.Errorf("next %d: a Next that was never given: %+v", next, a)
			}
		})
	}
}
