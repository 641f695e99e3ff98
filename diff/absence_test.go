package diff

import (
	"fmt"
	"math"
	"testing"
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
	for pages, want := range []uint64{2, 2, 3, 3} {
		if v := p.Judge(h, Sweep{Pages: pages}, Tally{Known: 30}); v.Need != want {
			t.Errorf("a first sweep of %d pages needs %d, want %d", pages, v.Need, want)
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
		{"exactly half is believed", []string{"10/20", "500/1000"}, []string{"0 2", "0 2"}},
		{"one more than half is not", []string{"11/20", "501/1000"}, []string{"1! 5", "2! 5"}},
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
				v := p.Judge(h, Sweep{}, tally)
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
		if v := p.Judge(History{}, Sweep{}, Tally{Known: 100, Unseen: 100}); v.Doubted || v.Need != 2 {
			t.Errorf("MassEndPercent 100 doubts: %+v", v)
		}
		p.MassEndPercent = 50
		if v := p.Judge(History{}, Sweep{}, Tally{Known: 100, Unseen: 100}); v.Doubted || v.Need != 2 {
			t.Errorf("MassEndSweeps 0 doubts: %+v", v)
		}
	})
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
