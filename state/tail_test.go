package state

import (
	"testing"

	"pgregory.net/rapid"

	"roomwatch/diff"
)

// run returns events with the numbers first to last.
func run(first, last uint64) (events []diff.Event) {
	for seq := first; seq <= last; seq++ {
		events = append(events, diff.Event{Seq: seq})
	}
	return events
}

// TestTail compares a tail with what it stands for: whatever is added, dropped
// and asked for, an answer is a run that begins after the number asked for, holds
// all that the limit allows, and is missing only where the tail may lack it.
func TestTail(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var tail tail
		var first, last uint64 // what it must have; last < first: nothing
		first = 1
		next := uint64(1)
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				next += rapid.SampledFrom([]uint64{0, 0, 0, 7}).Draw(t, "gap")
				n := rapid.Uint64Range(1, tailRows/3).Draw(t, "events")
				events := run(next, next+n-1)
				tail.add(events)
				switch {
				case last < first: // it was empty
					first, last = next, next+n-1
				case next == last+1 && last+1-first < tailRows:
					last += n
				}
				next += n
				clear(events) // the caller's memory is used again
			},
			"drop": func(t *rapid.T) {
				seq := rapid.Uint64Range(0, next).Draw(t, "up to")
				tail.drop(seq)
				// Parts stay whole, so some of what was dropped may still be there.
				for first <= last && first <= seq && (tail.rows == 0 || tail.parts[0][0].Seq > first) {
					first++
				}
			},
			"": func(t *rapid.T) {
				if got := uint64(tail.rows); got != last+1-first {
					t.Fatalf("%d rows, want those from %d to %d", got, first, last)
				}
				seq := rapid.Uint64Range(0, next).Draw(t, "after")
				limit := rapid.IntRange(0, 2*tailRows).Draw(t, "limit")
				want := uint64(0)
				if first <= last && seq+1 >= first && seq < last {
					want = min(uint64(limit), last-seq)
				}
				got := tail.after(seq, limit)
				if uint64(len(got)) != want {
					t.Fatalf("after(%d, %d) = %d events of %d to %d, want %d", seq, limit, len(got), first, last, want)
				}
				for i, e := range got {
					if e.Seq != seq+1+uint64(i) {
						t.Fatalf("after(%d, %d): the %dth is %d", seq, limit, i+1, e.Seq)
					}
				}
			},
		})
	})
}

// A full tail keeps what a publisher that has fallen behind needs next, and
// begins anew when that is stored.
func TestTailFull(t *testing.T) {
	var tail tail
	tail.add(run(1, tailRows-1))
	tail.add(run(tailRows, tailRows+5))
	tail.add(run(tailRows+6, tailRows+9))
	if tail.rows != tailRows+5 || tail.last() != tailRows+5 {
		t.Errorf("%d rows up to %d, want it to take no more after %d", tail.rows, tail.last(), tailRows+5)
	}
	tail.drop(tailRows + 5)
	tail.add(run(tailRows+10, tailRows+11))
	if got := tail.after(tailRows+9, 9); len(got) != 2 {
		t.Errorf("%d events after it was emptied, want 2", len(got))
	}
}
