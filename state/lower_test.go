package state

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"roomwatch/diff"
)

// A count that falls is an old copy of the list or a reset: it is believed when pages of
// two sweeps, an interval apart, and a read after them show it.
func TestLowerCount(t *testing.T) {
	// A step is a sweep that begins then and whose page, a second later, shows so many views
	// ("page 5"), or a read ("read 5", "read ~5" if it is hidden, "read ?" without an answer).
	tests := []struct{ name, script, proposed, want string }{
		{"once", "10 page 5", "", ""},
		{"by two sweeps, and no read", "10 page 5; 20 page 6", "lower_count:a", ""},
		{"by two sweeps that are not an interval apart", "10 page 5; 19 page 6; 21.5 read 6", "", ""},
		{"by two sweeps and a read", "10 page 5; 20 page 6; 22 read 6", "lower_count:a", "3 a@1:9→6 info"},
		{"by two sweeps and a read that is hidden", "10 page 5; 20 page 6; 22 read ~6", "lower_count:a", "3 a@1:9→6 info"},
		{"by two sweeps and a read that shows still less", "10 page 5; 20 page 6; 22 read 4", "lower_count:a", "3 a@1:9→4 info"},
		{"the next one is decided anew", "10 page 5; 20 page 6; 22 read 6; 30 page 8; 32 read 7", "lower_count:a", "3 a@1:9→6, 4 a@1:6→8 info"},
		{"the read shows more", "10 page 5; 20 page 6; 22 read 9; 30 page 7; 32 read 7", "lower_count:a", ""},
		{"the read left before the second page", "10 page 5; 20 page 6; 20.5 read 6", "lower_count:a", ""},
		{"a read without an answer", "10 page 5; 20 page 6; 22 read ?; 30 page 6; 32 read 6", "lower_count:a", "3 a@1:9→6 info"},
		{"a read between the pages decides nothing", "10 page 5; 12 read 6; 20 page 6; 22 read 6", "lower_count:a", "3 a@1:9→6 info"},
		{"a page between shows more", "10 page 5; 20 page 9; 30 page 6; 32 read 6", "", ""},
		{"after that twice again", "10 page 5; 20 page 9; 30 page 6; 40 page 6; 42 read 6", "lower_count:a", "3 a@1:9→6 info"},
		{"a higher one is believed at once", "10 page 5; 20 page 12", "", "3 a@1:9→12 list"},
		{"and so is that of a read", "10 page 5; 12 read 12; 20 page 9", "", "3 a@1:9→12 info"},
		{"reads of the room fail, and the pages decide", "10 page 5; 20 page 6; 22 read ?; 25 read ?; 28 read ?; 32 read ?; 35 read ?; 40 page 6", "lower_count:a", "3 a@1:9→6 list"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, p := openReading(t)
			whole(t, s, 0, "a@1=9 x@1=0")
			for step := range strings.SplitSeq(tt.script, ";") {
				var n float64
				var what, count string
				if _, err := fmt.Sscan(step, &n, &what, &count); err != nil {
					t.Fatal(err)
				}
				if what == "page" {
					whole(t, s, n, "x@1=0 a@1="+count)
					continue
				}
				r := diff.Room{RoomID: "a", CreateTime: 1}
				outcome := diff.Live
				if count == "?" {
					outcome = diff.NoAnswer
				}
				if rest, ok := strings.CutPrefix(count, "~"); ok {
					outcome, count = diff.Hidden, rest
				}
				_, _ = fmt.Sscan(count, &r.ViewCount)
				heard(t, s, n, outcome, r)
				if outcome == diff.NoAnswer { // others are answered
					heard(t, s, n, diff.Live, diff.Room{RoomID: "x", CreateTime: 1})
				}
			}
			if got := strings.TrimPrefix(strings.TrimPrefix(p.take(), "asked_again:a"), " "); got != tt.proposed {
				t.Errorf("proposed %q, want %q", got, tt.proposed)
			}
			got := waiting(t, s, 2)
			if events, err := s.Events(2, 1); err != nil {
				t.Error(err)
			} else if len(events) > 0 {
				got += " " + string(events[0].Evidence.By)
			}
			if got != tt.want {
				t.Errorf("events %q, want %q", got, tt.want)
			}
			checked(t, s)
		})
	}
}

// Where reads are off or refused a lower count is believed as a page shows it.
func TestLowerCountWithoutReads(t *testing.T) {
	off := open(t, newPath(t))
	refused, _ := openReading(t)
	refused.NewCommitter(nil, nil).Refuse()
	for _, s := range []*Store{off, refused} {
		whole(t, s, 0, "a@1=9")
		whole(t, s, 10, "a@1=5")
		wantWaiting(t, s, 1, "2 a@1:9→5")
	}
}

// A rest of the change that is held back is published in its time, also where the page
// that comes then is an old copy.
func TestHeldBackCountAndOldCopy(t *testing.T) {
	p := diff.DefaultPolicy()
	p.MinInterval = 15 * time.Second
	s := open(t, newPath(t), p)
	s.reads.propose = func(diff.Proposal) {}
	whole(t, s, 0, "a@1=9")
	whole(t, s, 10, "a@1=12")
	whole(t, s, 20, "a@1=15")
	whole(t, s, 30, "a@1=13")
	wantWaiting(t, s, 1, "2 a@1:9→12, 3 a@1:12→15")
}

// A laggingList is a world whose counts only grow, or fall where they are reset, as a
// list that lags behind and reads that do not show it.
type laggingList struct {
	*rapid.T
	s     *Store
	now   float64
	truth []map[string]int64 // at each second
	waits []diff.Proposal
}

// pass lets seconds pass in which rooms are entered.
func (l *laggingList) pass(seconds int, reset bool) {
	for range seconds {
		now := make(map[string]int64)
		for id, n := range l.truth[len(l.truth)-1] {
			now[id] = n + rapid.Int64Range(0, 2).Draw(l.T, "enters")
		}
		if reset {
			now["a"] = 0
		}
		reset = false
		l.truth = append(l.truth, now)
	}
	l.now = float64(len(l.truth) - 1)
}

func (l *laggingList) room(id string, at float64) diff.Room {
	return diff.Room{RoomID: id, CreateTime: 1, ViewCount: l.truth[max(0, int(at))][id]}
}

// sweep reads a list that shows what was so many seconds ago.
func (l *laggingList) sweep(lag int) {
	p := diff.Page{Begin: second(l.now)}
	l.pass(1, false)
	p.At = second(l.now)
	for id := range l.truth[0] {
		p.Rooms = append(p.Rooms, l.room(id, l.now-float64(lag)))
	}
	l.s.reads.saw(p)
	if err := l.s.Commit(p); err != nil {
		l.Fatal(err)
	}
	if _, err := l.s.EndSweep(ended(l.now-1, p)); err != nil {
		l.Fatal(err)
	}
}

// read reads a room: the answer is as it was at some moment while it was on its way.
func (l *laggingList) read(id string, reset bool) {
	l.s.reads.with(func(w *diff.Witnesses) { w.Ask(id) })
	r := diff.Read{RoomID: id, Sent: second(l.now), Outcome: diff.Live}
	looked := l.now
	l.pass(rapid.IntRange(0, 3).Draw(l.T, "latency"), false)
	if !reset {
		looked += float64(rapid.IntRange(0, int(l.now-looked)).Draw(l.T, "looked"))
	}
	r.At, r.Room = second(l.now), l.room(id, looked)
	if err := l.s.CommitReads(r); err != nil {
		l.Fatal(err)
	}
}

// A list that lags behind the reads: counts do not go back and forth. They fall where
// they are reset, once.
func TestCountsDoNotGoBackAndForth(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		resets := rapid.Bool().Draw(rt, "resets")
		s := open(t, newPath(t))
		l := &laggingList{T: rt, s: s, truth: []map[string]int64{{"a": 50, "b": 7, "c": 0}}}
		s.reads.propose = func(p diff.Proposal) { l.waits = append(l.waits, p) }
		falls := 0
		for range rapid.IntRange(1, 25).Draw(rt, "steps") {
			switch rapid.IntRange(0, 3).Draw(rt, "step") {
			case 0, 1:
				lag := 0
				if !resets {
					lag = rapid.SampledFrom([]int{0, 0, 3, 15, 40}).Draw(rt, "lag")
				}
				l.sweep(lag)
			case 2:
				l.read(rapid.SampledFrom([]string{"a", "b", "c"}).Draw(rt, "room"), resets)
			case 3:
				reset := resets && falls == 0 && rapid.Bool().Draw(rt, "reset")
				if reset {
					falls++
				}
				l.pass(rapid.IntRange(1, 12).Draw(rt, "seconds"), reset)
			}
		}
		for range 3 { // at rest all is found
			l.pass(15, false)
			l.sweep(0)
			waits := l.waits
			l.waits = nil
			for _, p := range waits {
				l.read(p.RoomID, true)
			}
		}
		l.sweep(0)
		told := map[string]int64{}
		events, err := s.Events(0, 10_000)
		if err != nil {
			rt.Fatal(err)
		}
		for _, e := range events {
			if e.Room.ViewCount < told[e.Room.RoomID] {
				falls--
			}
			told[e.Room.RoomID] = e.Room.ViewCount
		}
		if falls < 0 {
			rt.Fatalf("counts fall %d times too often: %v", -falls, events)
		}
		for id := range told {
			if want := l.room(id, l.now).ViewCount; told[id] != want {
				rt.Fatalf("%s has %d views, told are %d", id, want, told[id])
			}
		}
		if err := s.Close(); err != nil {
			rt.Fatal(err)
		}
	})
}
