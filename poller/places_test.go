package poller

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"roomwatch/diff"
)

// bareSweep is n pages with the given Nexts; the list is one of rooms without views.
func bareSweep(n int, next func(i int) string, at time.Time) []visit {
	visits := make([]visit, n)
	for i := range visits {
		visits[i] = visit{at: at}
		if i > 0 {
			visits[i].next = next(i)
		}
	}
	return visits
}

func rank(i int) string { return fmt.Sprint("rank-", i) }

// bestSchedule returns how often each of the places is read a second in the optimum of the
// stationary case of Azar et al.: with known rates, each place is read whenever its index
// reaches a value that the budget of reads decides.
func bestSchedule(rates []float64, budget float64, index func(rate, age float64) float64) (ages []float64) {
	ages = make([]float64, len(rates))
	age := func(rate, value float64) float64 {
		low, high := 0., 1e6
		for range 100 {
			if mid := (low + high) / 2; index(rate, mid) < value {
				low = mid
			} else {
				high = mid
			}
		}
		return high
	}
	low, high := 1e-9, 1e9
	for range 200 {
		value := math.Sqrt(low * high)
		reads := 0.
		for i, r := range rates {
			ages[i] = age(r, value)
			reads += 1 / ages[i]
		}
		if reads > budget {
			low = value
		} else {
			high = value
		}
	}
	return ages
}

// staleRead is the index of Azar et al. for the part of the time in which a place shows
// nothing that is not known; waitRead is that for the time that new rooms wait.
func staleRead(rate, age float64) float64 { x := rate * age; return (1 - math.Exp(-x)*(1+x)) / rate }
func waitRead(rate, age float64) float64  { return rate * age * age / 2 }

// The choice, which has to measure the rates, comes to nine tenths of what a choice that knows
// them could reach of what Azar et al. maximize, the part of the time in which a place
// shows nothing new; and to eight of what it could reach of the number of rooms that wait to be found.
func TestChoiceIsNearTheBest(t *testing.T) {
	const n, budget, watch = 200, 2.5, 1200.
	for name, rate := range map[string]func(i int) float64{
		"a few places have all": func(i int) float64 {
			if i%16 == 0 {
				return 0.15
			}
			return 0.0002
		},
		"near the tail":  func(i int) float64 { return 0.2 * math.Exp(-float64(n-i)/15) },
		"all are alike":  func(int) float64 { return 0.01 },
		"Zipf in a heap": func(i int) float64 { return 0.4 / float64(1+i*37%n) },
	} {
		t.Run(name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, 2))
			now := time.Unix(1_700_000_000, 0)
			p := newPlaces()
			p.learn(bareSweep(n, rank, now))
			rates := make([]float64, n)
			of := map[string]float64{}
			for i := range rates {
				rates[i] = rate(i)
				of[rank(i)] = rates[i]
			}
			p.all[0].stale = false // also the first page is one of many here
			p.all[0].next = rank(0)
			now = now.Add(time.Second)
			born := diff.Room{CreateTime: math.MaxInt64}
			var waited, fresh float64
			start := now.Add(10 * time.Minute) // the rates are measured by then
			for end := start.Add(watch * time.Second); now.Before(end); now = now.Add(time.Second * 2 / 5) {
				pl := p.next(now)
				if pl == nil {
					t.Fatal("nothing is worth a probe")
				}
				r, age := of[pl.next], now.Sub(pl.read).Seconds()
				if now.After(start) {
					waited += r * age * age / 2
					fresh += (1 - math.Exp(-r*age)) / r
				}
				p.answered(pl, now, now, slices.Repeat([]diff.Room{born}, poisson(rng, r*age)), "")
			}
			var best, bestFresh float64
			for i, age := range bestSchedule(rates, budget, waitRead) {
				best += rates[i] * age / 2
			}
			for i, age := range bestSchedule(rates, budget, staleRead) {
				bestFresh += (1 - math.Exp(-rates[i]*age)) / rates[i] / age
			}
			t.Logf("rooms that wait: %.2f, with the best choice %.2f; places without one: %.1f of %d, with the best choice %.1f", waited/watch, best, fresh/watch, n, bestFresh)
			if best/(waited/watch) < 0.8 {
				t.Errorf("%.2f rooms wait, with the best choice %.2f", waited/watch, best)
			}
			if fresh/watch/bestFresh < 0.9 {
				t.Errorf("%.1f places are without news, with the best choice %.1f", fresh/watch, bestFresh)
			}
		})
	}
}

func poisson(rng *rand.Rand, mean float64) (n int) {
	for p := rng.Float64(); p > math.Exp(-mean); n++ {
		p *= rng.Float64()
	}
	return n
}

// What was found in a part of the list stays known of it, though Nexts and the numbers of
// pages change; a look of a sweep counts as one, and only rooms that have come since the
// one before.
func TestPlacesInherit(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	p := newPlaces()
	visits := bareSweep(40, rank, now)
	for i := range 20 {
		visits[i].low = int64(1000 - i) // the other twenty pages have no views
	}
	p.learn(visits)
	if age := p.pass(30, now.Add(20*time.Second)); age != 20*time.Second {
		t.Errorf("page 30 was read %v before", age)
	}
	hot := p.all[30] // half-way through the rooms without views
	old := diff.Room{CreateTime: now.Unix() - 9}
	fresh := diff.Room{CreateTime: now.Unix() + 25}
	p.answered(hot, now.Add(30*time.Second), now.Add(30*time.Second), []diff.Room{old, fresh, fresh, fresh}, "")
	if hot.found != 3 || hot.over != 10 {
		t.Errorf("found %v in %v s, want 3 in 10", hot.found, hot.over)
	}

	visits = bareSweep(35, func(i int) string { return fmt.Sprint("key-", i) }, now.Add(40*time.Second))
	for i := range 25 {
		visits[i].low = int64(2000 - i) // now there are ten pages without views
	}
	p.learn(visits)
	var sum float64
	for i, pl := range p.all {
		sum += pl.found
		if (pl.found > 0) != (i == 30) {
			t.Errorf("place %d has found %v", i, pl.found)
		}
	}
	if math.Abs(sum-3) > 1e-6 {
		t.Errorf("all places have found %v, want 3", sum)
	}
	if pl := p.next(now.Add(50 * time.Second)); pl == nil || pl.next != "key-30" {
		t.Errorf("next is %+v", pl)
	}
}

// One request in a hundred is a probe while none finds anything, after the first few.
func TestPlacesThatBringNothing(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	p := newPlaces()
	probes, requests := 0, 0
	for range 300 {
		p.learn(bareSweep(50, rank, now))
		for range 50 {
			p.requested()
			requests++
			now = now.Add(100 * time.Millisecond)
			if pl := p.next(now); pl != nil {
				p.requested()
				probes++
				requests++
				if probes%2 == 0 {
					p.failed(pl, now, true)
				} else {
					p.answered(pl, now, now, nil, "elsewhere")
				}
			}
		}
	}
	if probes > findPays+requests/inVain || probes < requests/110 {
		t.Errorf("%d of %d requests are probes", probes, requests)
	}
	pl := p.next(now.Add(time.Hour))
	if pl != nil {
		t.Fatal("a probe too many")
	}
	for pl == nil {
		p.requested()
		pl = p.next(now)
	}
	p.answered(pl, now.Add(time.Second), now, []diff.Room{{CreateTime: now.Unix() + 9}}, "")
	if p.credit < findPays || p.credit > findPays+1 {
		t.Errorf("after a find there may be %v probes", p.credit)
	}
}

// The list grows behind its end, or a page is full of new rooms: what follows is read
// once, before all else. A place that is known is not read for that, nor one of a long Next.
func TestFollowedOnce(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	at := now.Add(10 * time.Second)
	news := []diff.Room{{CreateTime: now.Unix()}}
	for _, tt := range []struct {
		name    string
		place   int
		unknown []diff.Room
		next    string
		want    bool
	}{
		{"the tail has grown", 9, nil, "rank-10", true},
		{"the list ends there still", 9, nil, "", false},
		{"full of new rooms", 4, news, "key-a", true},
		{"another Next for what is known", 4, nil, "key-a", false},
		{"the next place", 4, news, "rank-5", false},
		{"a long Next", 9, news, strings.Repeat("x", maxNext+1), false},
	} {
		p := newPlaces()
		p.learn(bareSweep(10, rank, now))
		p.answered(p.all[tt.place], at, at, tt.unknown, tt.next)
		pl := p.next(at)
		if pl == nil || (pl.next == tt.next) != tt.want {
			t.Errorf("%s: next is %+v", tt.name, pl)
			continue
		}
		if !tt.want {
			continue
		}
		p.answered(pl, at, at, nil, tt.next+"1")
		if pl = p.next(at.Add(time.Second)); pl == nil || pl.first {
			t.Errorf("%s: then next is %+v", tt.name, pl)
		}
	}
}

// The memory is bounded: by the number of places, and by the length of what each holds.
func TestPlacesAreBounded(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	p := newPlaces()
	p.learn(bareSweep(3*maxPlaces, func(i int) string { return fmt.Sprint(strings.Repeat("x", maxNext-4-i%2), 1000+i%1000) }, now))
	if p.len() != maxPlaces {
		t.Errorf("%d places", p.len())
	}
	if age := p.pass(2*maxPlaces+5, now.Add(time.Second)); age != time.Second || p.all[5].read != now.Add(time.Second) {
		t.Errorf("the page of the fifth place was read %v before", age)
	}
	visits := bareSweep(5, func(int) string { return strings.Repeat("x", maxNext+1) }, now)
	p.learn(visits)
	if pl := p.next(now.Add(time.Hour)); pl != nil {
		t.Errorf("a Next of %d bytes is read", len(pl.next))
	}
	p.learn(bareSweep(10, rank, now))
	for i := range 3 * maxPlaces {
		pl := p.all[1]
		p.answered(pl, now, now, []diff.Room{{}}, fmt.Sprint("new", i))
	}
	if p.len() > 2*maxPlaces {
		t.Errorf("%d places", p.len())
	}
}
