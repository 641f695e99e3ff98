package diff

import (
	"fmt"
	"math"
	"testing"
	"time"
)

// The wait grows with the rate of misses: rateⁿ is below one in a billion.
func TestNeed(t *testing.T) {
	tests := []struct {
		rate float64
		min  int
		want uint64
	}{
		{rate: 1e-9, want: 2},
		{rate: 1e-5, want: 2},
		{rate: 3.1e-5, want: 2},
		{rate: 3.2e-5, want: 3},
		{rate: 0.00099, want: 3},
		{rate: 0.00101, want: 4},
		{rate: 0.05, want: 7},
		{rate: 0.1, want: 10}, // 0.1⁹ is one in a billion, not below it
		{rate: 0.5, want: 10},
		{rate: 0.999, want: 10},
		{rate: 1, want: 10},
		{rate: 1e-5, min: 1, want: 2},
		{rate: 1e-10, min: 1, want: 1},
		{rate: 1e-10, min: 0, want: 1},
		{rate: 1e-10, min: -3, want: 1},
		{rate: 1e-5, min: 5, want: 5},
		{rate: 0.05, min: 5, want: 7},
		{rate: 0.5, min: 25, want: 25},
		{rate: 1, min: 25, want: 25},
	}
	for _, tt := range tests {
		p := Policy{AbsentSweeps: 2}
		if tt.min != 0 || tt.rate == 1e-10 {
			p.AbsentSweeps = tt.min
		}
		got := p.need(tt.rate)
		if got != tt.want {
			t.Errorf("need(%v) with AbsentSweeps %d = %d, want %d", tt.rate, p.AbsentSweeps, got, tt.want)
		}
		if got < mostSweeps && math.Pow(tt.rate, float64(got)) >= falseEnd {
			t.Errorf("need(%v) = %d leaves a false end a chance of %v", tt.rate, got, math.Pow(tt.rate, float64(got)))
		}
	}
}

// The rate is that of the last sweeps, begins at the prior and returns to it.
func TestMissRate(t *testing.T) {
	p := DefaultPolicy()
	var h History
	for _, tt := range []struct {
		pages, known int
		want         uint64
	}{
		{0, 20, 2}, {1, 20, 2}, {2, 20, 3}, {3, 20, 3},
		{0, 21, 3}, {1, 21, 3}, // the known rooms would fill two pages: the list is cut
		{2, 30, 3}, {1, 200, 3},
	} {
		if v := p.Judge(h, Sweep{Pages: tt.pages}, Tally{Known: tt.known}); v.Need != tt.want {
			t.Errorf("a first sweep of %d pages with %d rooms known needs %d, want %d", tt.pages, tt.known, v.Need, tt.want)
		}
	}
	for range 500 {
		h.Misses += 50 // of a thousand
		h = p.Judge(h, Sweep{}, Tally{Known: 1000}).History
	}
	if r := h.MissRate(); r < 0.045 || r > 0.05 {
		t.Errorf("50 misses a sweep in 1,000 rooms are a rate of %v, want about 0.05", r)
	}
	var sweeps int
	for ; p.need(h.MissRate()) > 2 && sweeps < 10000; sweeps++ {
		h = p.Judge(h, Sweep{}, Tally{Known: 1000}).History
	}
	if sweeps < 100 || sweeps > 1000 {
		t.Errorf("the rate was forgotten after %d sweeps", sweeps)
	}
	for range 100 {
		h.Misses += 5000
		h = p.Judge(h, Sweep{}, Tally{Known: 10}).History
	}
	if r := h.MissRate(); r != 1 {
		t.Errorf("rate %v, want 1 at most", r)
	}
}

func TestMassEnd(t *testing.T) {
	// Each sweep is "unseen/known"; what is wanted of it is the count of doubted
	// sweeps in a row and, after it, "!" where nothing ends, and Need.
	tests := []struct {
		name   string
		sweeps []string
		want   []string
	}{
		{"19 rooms are not watched", []string{"19/19", "19/19"}, []string{"0 2", "0 2"}},
		{"20 rooms are", []string{"20/20"}, []string{"1! 5"}},
		{"exactly half is believed", []string{"10/20", "500/1000"}, []string{"0 2", "0 3"}},
		{"one more than half is not", []string{"11/20", "12/20"}, []string{"1! 5", "2! 5"}},
		{"the fifth is believed", []string{"20/20", "11/20", "20/20", "20/20", "20/20", "20/20"}, []string{"1! 5", "2! 5", "3! 5", "4! 5", "5 5", "6 5"}},
		{"the row is broken", []string{"20/20", "20/20", "20/20", "20/20", "1/20", "20/20"}, []string{"1! 5", "2! 5", "3! 5", "4! 5", "0 2", "1! 5"}},
		{"the row is broken by too few rooms", []string{"20/20", "19/19", "20/20"}, []string{"1! 5", "0 2", "1! 5"}},
		{"nothing known, nothing doubted", []string{"0/0"}, []string{"0 2"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, h := DefaultPolicy(), History{}
			for i, s := range tt.sweeps {
				var tally Tally
				if _, err := fmt.Sscanf(s, "%d/%d", &tally.Unseen, &tally.Known); err != nil {
					t.Fatal(err)
				}
				v := p.Judge(h, Sweep{Apart: 10 * time.Second}, tally)
				h = v.History
				mark := ""
				if v.Doubted {
					mark = "!"
				}
				if got := fmt.Sprintf("%d%s %d", h.Doubted, mark, v.Need); got != tt.want[i] {
					t.Errorf("sweep %d, %s: %q, want %q", i+1, s, got, tt.want[i])
				}
				if v.Doubted && v.Ends(Missing{First: 1}) {
					t.Errorf("sweep %d, %s: doubted, and yet rooms end", i+1, s)
				}
			}
		})
	}

	t.Run("off", func(t *testing.T) {
		p := DefaultPolicy()
		p.MassEndPercent, p.MassEndSweeps = 100, 0
		if v := p.Judge(History{}, Sweep{}, Tally{Known: 100, Unseen: 100}); v.Doubted || v.Need != 3 {
			t.Errorf("MassEndPercent 100 doubts: %+v", v)
		}
		p.MassEndPercent = 50
		if v := p.Judge(History{}, Sweep{}, Tally{Known: 100, Unseen: 100}); v.Doubted || v.Need != 3 {
			t.Errorf("MassEndSweeps 0 doubts: %+v", v)
		}
	})
}

// Sweeps that follow each other fast are one disturbance: those that end a mass
// of rooms span ten seconds, or an interval where that is longer.
func TestMassEndSpan(t *testing.T) {
	tests := []struct {
		name            string
		interval, apart time.Duration
		want            int // the first sweep of the row that is believed
	}{
		{"slow", 500 * time.Millisecond, 3 * time.Second, 5},
		{"just ten seconds", 500 * time.Millisecond, 2500 * time.Millisecond, 5},
		{"fast", 500 * time.Millisecond, 500 * time.Millisecond, 21},
		{"a long interval", time.Minute, 10 * time.Second, 7},
		{"no time passes", time.Second, 0, 0},
	}
	for _, tt := range tests {
		p := DefaultPolicy()
		p.Interval = tt.interval
		h := p.Judge(History{}, Sweep{}, Tally{Known: 40}).History
		var first Missing
		believed := 0
		for n := 1; n <= 30 && believed == 0; n++ {
			v := p.Judge(h, Sweep{Apart: tt.apart}, Tally{Known: 40, Unseen: 30})
			if n == 1 {
				first = v.Mark(Known{}, h)
			}
			h = v.History
			if v.Doubted == v.Ends(first) {
				t.Errorf("%s: sweep %d: doubted %t, and a room that all missed ends: %t", tt.name, n, v.Doubted, v.Ends(first))
			}
			if !v.Doubted {
				believed = n
			}
		}
		if believed != tt.want {
			t.Errorf("%s: sweep %d of the row is believed, want %d", tt.name, believed, tt.want)
		}
	}
}

// The first and the last of the sweeps that end a room begin an interval apart,
// and three seconds.
func TestWitnessSpan(t *testing.T) {
	tests := []struct{ interval, apart, want time.Duration }{ // want: the least span that ends the room
		{interval: 10 * time.Second, apart: 100 * time.Millisecond, want: 10 * time.Second},
		{interval: 500 * time.Millisecond, apart: 100 * time.Millisecond, want: 3 * time.Second},
		{interval: 0, apart: 100 * time.Millisecond, want: 3 * time.Second},
		{interval: 3 * time.Second, apart: time.Second, want: 3 * time.Second},
		{interval: 10 * time.Second, apart: 11 * time.Second, want: 11 * time.Second},
		{interval: time.Minute, apart: 7 * time.Second, want: 63 * time.Second},
	}
	for _, tt := range tests {
		p := DefaultPolicy()
		p.Interval = tt.interval
		h := p.Judge(History{}, Sweep{}, Tally{Known: 19}).History
		var first Missing
		for n := time.Duration(0); ; n++ {
			v := p.Judge(h, Sweep{Apart: tt.apart}, Tally{Known: 19, Unseen: 18})
			if n == 0 {
				first = v.Mark(Known{}, h)
			}
			h = v.History
			if got := n * tt.apart; v.Ends(first) != (got >= tt.want) {
				t.Errorf("interval %s, sweeps %s apart: after %s Ends is %t, want an end after %s", tt.interval, tt.apart, got, v.Ends(first), tt.want)
			}
			if n*tt.apart > tt.want {
				break
			}
		}
	}
}

// A clock that is set back makes no time pass backwards.
func TestWatchedGrows(t *testing.T) {
	p := DefaultPolicy()
	h := p.Judge(History{Watched: time.Minute}, Sweep{Apart: -time.Hour}, Tally{}).History
	if h.Watched != time.Minute {
		t.Errorf("watched for %s, want 1m0s", h.Watched)
	}
}

// When the guard lets go, only what every one of the doubted sweeps missed ends.
func TestMassEndReleasesWhatAllMissed(t *testing.T) {
	w := newWatcher(DefaultPolicy())
	all := ""
	for i := range 30 {
		all += fmt.Sprintf("r%02d@1=0 ", i)
	}
	play(t, w, all)
	w.take()
	for sweep, seen := range []string{"r00@1=0", "r00@1=0", "r00@1=0 r01@1=0", "r00@1=0", "r00@1=0"} {
		play(t, w, seen)
		if n := len(w.events); sweep < 4 && n != 0 {
			t.Fatalf("sweep %d ends %d rooms, want none", sweep+1, n)
		}
	}
	play(t, w, "r00@1=0")
	if _, ok := w.rooms["r01"]; !ok {
		t.Error("a room that the third of five doubted sweeps showed has ended with them")
	}
	if _, ok := w.rooms["r02"]; ok {
		t.Error("a room that all five missed has not ended")
	}
}

func TestEnds(t *testing.T) {
	tests := []struct {
		complete, first, need uint64
		doubted               bool
		want                  bool
	}{
		{complete: 7, first: 7, need: 1, want: true},
		{complete: 7, first: 7, need: 2, want: false},
		{complete: 7, first: 6, need: 2, want: true},
		{complete: 7, first: 5, need: 2, want: true},
		{complete: 7, first: 1, need: 2, doubted: true, want: false},
		{complete: 7, first: 5, need: 4, want: false}, // the need grew while it was missing
	}
	for _, tt := range tests {
		v := Verdict{History: History{Complete: tt.complete}, Need: tt.need, Doubted: tt.doubted}
		if got := v.Ends(Missing{First: tt.first}); got != tt.want {
			t.Errorf("missed by %d to %d, %d needed, doubted %t: Ends = %t", tt.first, tt.complete, tt.need, tt.doubted, got)
		}
	}
}

// The next sweep begins at once while rooms are missing, but not to ask a
// service again and again that answers wrongly.
func TestAgain(t *testing.T) {
	p := DefaultPolicy()
	tests := []struct {
		name          string
		known, unseen int
		missing       int
		want          bool
	}{
		{"nothing is missing", 30, 0, 0, false},
		{"one is missing", 30, 1, 1, true},
		{"one was missing and has ended", 30, 1, 0, false},
		{"most are missing", 30, 16, 16, false},
		{"a short list is empty", 3, 3, 3, false},
		{"nothing was known", 0, 0, 0, false},
	}
	for _, tt := range tests {
		v := p.Judge(History{}, Sweep{}, Tally{Known: tt.known, Unseen: tt.unseen})
		if got := v.Again(tt.missing); got != tt.want {
			t.Errorf("%s: Again(%d) = %t", tt.name, tt.missing, got)
		}
	}
}
