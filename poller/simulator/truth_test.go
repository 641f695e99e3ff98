package simulator_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"roomwatch/poller/simulator"
)

// W3 and W4, and that list and truth are one, after any hand operations on a
// world that has lived and was frozen.
func TestListIsTheTruth(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		c := lively()
		c.Seed = rapid.Uint64().Draw(r, "seed")
		c.Rooms = rapid.IntRange(1, 45).Draw(r, "rooms")
		c.Next = simulator.Next(rapid.IntRange(0, 2).Draw(r, "next"))
		c.Start = time.Now().Add(-10 * time.Second)
		c.RoomIDs = func(n int) string { return odd(n % 60) }
		s := start(t, c)
		s.Freeze()
		for range rapid.IntRange(0, 60).Draw(r, "operations") {
			operate(r, s)
		}
		truth := s.Truth()
		got := sweep(t, s, rapid.IntRange(1, 20).Draw(r, "count"), 0)
		if a, b := lines(got, show), lines(truth.Live(), showLife); a != b {
			r.Fatalf("list:\n%s\ntruth:\n%s", a, b)
		}
		checkOrder(r, got)
		checkLives(r, truth.Lives)
	})
}

// odd returns an ID of the kinds that break subjects, keys and URLs.
func odd(n int) string {
	kinds := []string{"a.b", "a b", "*", ">", "直播间", "%2E", "a/b?c=d&e", "</script>", "\x00\n", strings.Repeat("é", 23)}
	return kinds[n%len(kinds)] + string(rune('0'+n/len(kinds)))
}

// operate does one hand operation, on a room that may not be live.
func operate(r *rapid.T, s *simulator.Service) {
	id := odd(rapid.IntRange(0, 59).Draw(r, "id"))
	n := rapid.IntRange(1, 5).Draw(r, "n")
	live := slices.ContainsFunc(s.Truth().Lives, func(l simulator.Life) bool { return l.RoomID == id && l.Ended.IsZero() })
	var err error
	wantErr := !live
	switch op := rapid.IntRange(0, 5).Draw(r, "op"); op {
	case 0:
		err, wantErr = s.Open(id), live
	case 1:
		err = s.Close(id)
	case 2:
		err = s.Enter(id, n)
	case 3:
		err = s.Recreate(id)
	case 4:
		err = s.Flip(id)
	default:
		err = s.Edit(id, func(r *simulator.Room) { r.ViewCount, r.RoomName = int64(n), id })
	}
	if (err != nil) != wantErr {
		r.Fatalf("room %q, live %v: %v", id, live, err)
	}
}

// checkOrder checks W3.
func checkOrder(r *rapid.T, list []listed) {
	for i := 1; i < len(list); i++ {
		a, b := list[i-1], list[i]
		if a.ViewCount < b.ViewCount || a.ViewCount == b.ViewCount && a.RoomId >= b.RoomId {
			r.Fatalf("%s stands before %s", show(a), show(b))
		}
	}
}

// checkLives checks W4: the lives of one RoomID follow each other.
func checkLives(r *rapid.T, lives []simulator.Life) {
	before := make(map[string]simulator.Life)
	for _, l := range lives {
		b, ok := before[l.RoomID]
		if ok && (l.CreateTime <= b.CreateTime || b.Ended.IsZero() || l.Opened.Before(b.Ended)) {
			r.Fatalf("%+v follows %+v", l, b)
		}
		before[l.RoomID] = l
	}
}
