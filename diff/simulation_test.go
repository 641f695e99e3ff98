package diff

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// A hostileList is a list in the order of view counts, which grow while it is
// read. Its rooms live for ever, so every end told of one is false.
type hostileList struct {
	rng     *rand.Rand
	popular func(n int) int // draws the slot of the room that is entered
	rooms   []Room          // most views first, then by RoomID
	slots   []string        // the RoomID in each slot
	rank    map[string]int
}

func newHostileList(seed uint64, n, spread int, zipf bool) *hostileList {
	l := &hostileList{rng: rand.New(rand.NewPCG(seed, 1)), rank: map[string]int{}}
	l.popular = l.rng.IntN
	if zipf { // slot k about as often as 1/(k+1)
		l.popular = func(n int) int { return min(n, int(math.Exp(l.rng.Float64()*math.Log(float64(n+1))))) - 1 }
	}
	for i := range n {
		r := Room{RoomID: fmt.Sprintf("room%03d", i), CreateTime: 1, ViewCount: int64(spread * (n - i))}
		l.rooms = append(l.rooms, r)
		l.slots = append(l.slots, r.RoomID)
		l.rank[r.RoomID] = i
	}
	l.rng.Shuffle(n, func(i, j int) { l.slots[i], l.slots[j] = l.slots[j], l.slots[i] })
	return l
}

func before(a, b Room) bool {
	return a.ViewCount > b.ViewCount || a.ViewCount == b.ViewCount && a.RoomID < b.RoomID
}

func (l *hostileList) enter() {
	i := l.rank[l.slots[l.popular(len(l.slots))]]
	l.rooms[i].ViewCount++
	for ; i > 0 && before(l.rooms[i], l.rooms[i-1]); i-- {
		l.rooms[i], l.rooms[i-1] = l.rooms[i-1], l.rooms[i]
		l.rank[l.rooms[i].RoomID] = i
	}
	l.rank[l.rooms[i].RoomID] = i
}

// A reading is one way to read the list.
type reading struct {
	rooms   int
	spread  int  // how far the view counts lie apart at first
	zipf    bool // a few rooms are entered by far the most; else all are as often
	byKey   bool // Next is the last room of the page; else how many rooms came before
	sweeps  int
	changes float64 // a second
}

// falseEnds lets watchers read one list and returns how many ends each has told.
func (c reading) falseEnds(seed uint64, watchers ...*watcher) []int {
	const pageSize, rate = 20, 9.5
	l := newHostileList(seed, c.rooms, c.spread, c.zipf)
	ends := make([]int, len(watchers))
	var now, due float64
	for range c.sweeps {
		begin, from := now, 0
		var last Room
		for from < len(l.rooms) {
			now += 1 / rate
			for due += c.changes / rate; due >= 1; due-- {
				l.enter()
			}
			if c.byKey && last.RoomID != "" {
				for from = 0; from < len(l.rooms) && !before(last, l.rooms[from]); {
					from++
				}
			}
			to := min(from+pageSize, len(l.rooms))
			for _, w := range watchers {
				w.page(second(now), l.rooms[from:to]...)
			}
			if from = to; to > 0 {
				last = l.rooms[to-1]
			}
		}
		i, j := l.rng.IntN(c.rooms), l.rng.IntN(c.rooms) // popularity moves
		l.slots[i], l.slots[j] = l.slots[j], l.slots[i]
		for i, w := range watchers {
			w.end(second(begin), second(now), true)
			for _, e := range w.take() {
				if e.Type == RoomEnded {
					ends[i]++
				}
			}
		}
	}
	return ends
}

// A list that shifts while it is read: two misses in a row are told as ends that
// are none, the measured rate asks for enough of them.
//
// The last case is the limit of the rule. It takes the misses of a room for
// independent of each other, and on a list of two pages they are not: a room
// that keeps pace with the edge of its page is missed again and again.
func TestHostileList(t *testing.T) {
	tests := []struct {
		name string
		reading
		most float64 // the part of the ends of two misses in a row that the rule may still tell
	}{
		{"240 rooms, all alike, by rank", reading{rooms: 240, sweeps: 400, changes: 250}, 0},
		{"240 rooms, all alike, by key", reading{rooms: 240, byKey: true, sweeps: 400, changes: 250}, 0},
		{"240 rooms, some popular, by rank", reading{rooms: 240, zipf: true, sweeps: 400, changes: 250}, 0},
		{"240 rooms, some popular, by key", reading{rooms: 240, zipf: true, byKey: true, sweeps: 400, changes: 250}, 0},
		{"2,000 rooms, all alike, by rank", reading{rooms: 2000, sweeps: 15, changes: 250}, 0},
		{"40 rooms, all alike, by key", reading{rooms: 40, byKey: true, sweeps: 2000, changes: 250}, 0.05},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var told, two int
			for seed := range uint64(2) {
				rule, fixed := newWatcher(DefaultPolicy()), newWatcher(DefaultPolicy())
				rule.hasty, fixed.hasty, fixed.forgetful = true, true, true
				ends := tt.falseEnds(seed, rule, fixed)
				told, two = told+ends[0], two+ends[1]
			}
			t.Logf("%d false ends, %d with two misses in a row", told, two)
			if two == 0 {
				t.Error("two misses in a row are enough here: the test proves nothing")
			}
			if float64(told) > tt.most*float64(two) {
				t.Errorf("%d false ends", told)
			}
		})
	}
}

// A list that shifts only now and then has not shown it when a fresh state looks
// at it for the first times: to take it for calm until then tells false ends.
func TestFreshStart(t *testing.T) {
	r := reading{rooms: 240, spread: 2, sweeps: 12, changes: 100}
	var told, trusted int
	for seed := range uint64(400) {
		rule, trusting := newWatcher(DefaultPolicy()), newWatcher(DefaultPolicy())
		rule.hasty, trusting.hasty, trusting.trusting = true, true, true
		ends := r.falseEnds(seed, rule, trusting)
		told, trusted = told+ends[0], trusted+ends[1]
	}
	t.Logf("%d false ends, %d by who takes the list for calm", told, trusted)
	if trusted == 0 {
		t.Error("none by who takes the list for calm: the test proves nothing")
	}
	if told > 0 {
		t.Errorf("%d false ends", told)
	}
}

// A room that is told as ended and then shown in the same life was missed: if
// that happens again and again, ends wait for longer.
func TestFalseEndsAreLearned(t *testing.T) {
	w := newWatcher(DefaultPolicy())
	w.hasty = true
	all := ""
	for i := range 15 { // a page of them: two sweeps are enough at first
		all += fmt.Sprintf("r%02d@1=0 ", i)
	}
	ends := 0
	for range 20 {
		ends += strings.Count(play(t, w, all+"x@1=5;"+all+";"+all), "-x@1")
	}
	if ends == 0 || ends > 2 {
		t.Errorf("%d of 20 absences of two sweeps were told as ends, want the first, and not many more", ends)
	}
	play(t, w, all+"x@2=0")
	before := w.history.Misses
	play(t, w, all+"x@3=0")
	if w.history.Misses > before {
		t.Error("a new life counts as one that was missed")
	}
}
