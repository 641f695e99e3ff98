package poller

import (
	"math"
	"slices"
	"sync"
	"time"

	"roomwatch/diff"
)

const (
	maxPlaces = 4096    // that are remembered: those at the end of the list, where new rooms begin
	maxNext   = 4 << 10 // bytes; a place with a longer Next is not remembered
	// memoryOfLooks is the time in which a look at a place loses all but 1/e of its weight.
	memoryOfLooks = 5 * time.Minute
	// fewLooks is for how much time of looks the mean of all places stands, where a place
	// has been looked at for less.
	fewLooks = 20 * time.Second
	// A probe that finds a room pays for findPays further ones. Where none finds any, as with
	// frozen copies and cursors that die, one request in inVain is a probe.
	findPays  = 25
	maxCredit = 10 * findPays
	inVain    = 100
)

// A place is a Next of an earlier sweep, and what was found where it leads.
type place struct {
	next  string
	part  part      // of the list, that its page shows
	read  time.Time // last, by a sweep or a probe
	found float64   // new rooms, old looks weighing less
	over  float64   // seconds in which they have come, weighing the same
	last  bool      // the list ended with its page
	busy  bool      // a probe of it is on its way
	stale bool      // the service does not know the Next any more
	first bool      // a probe has found it, and it is to be read before all others
}

// places remembers the places of the newest complete sweep, and says which of them is
// to be read next. It is in memory only: a process that starts anew learns anew. It is
// safe for concurrent use.
//
// The choice is the index of Azar et al. (2018), "Tractable near-optimal policies for
// crawling", where few rooms are expected: for a rate r of new rooms and an age t, r·t²/2.
// It is the time that the rooms which are expected there have waited, together. Reading
// always the place with the greatest one reads each as often as the root of its rate says,
// which keeps the mean number of rooms that nobody knows yet as low as a budget can.
type places struct {
	mu     sync.Mutex
	all    []*place // in the order of the list
	before int      // pages of their sweep that are before them
	credit float64  // probes that may be made without a find
}

func newPlaces() *places { return &places{credit: findPays} }

// requested notes that a request of the list was made.
func (p *places) requested() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.credit = min(p.credit+1./inVain, maxCredit)
}

// look takes what a look has found that came so long after the one before.
func (pl *place) look(unknown int, after time.Duration) {
	keep := math.Exp(-after.Seconds() / memoryOfLooks.Seconds())
	pl.found = pl.found*keep + float64(unknown)
	pl.over = pl.over*keep + after.Seconds()
}

// next returns the place that is to be read now; nil if none is worth it.
func (p *places) next(now time.Time) *place {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.credit < 1 {
		return nil
	}
	mean := p.mean()
	var best *place
	var most float64
	for _, pl := range slices.Backward(p.all) { // new rooms have few views: of two that are worth the same, the later one
		if pl.busy || pl.stale {
			continue
		}
		if pl.first {
			best = pl
			break
		}
		if v := pl.worth(mean, now); v > most {
			best, most = pl, v
		}
	}
	if best != nil {
		best.busy, best.first = true, false
		p.credit--
	}
	return best
}

// mean returns the rate of new rooms a second of a place, over all places. It is above 0.
func (p *places) mean() float64 {
	found, over := 0.1, 1000.
	for _, pl := range p.all {
		found += pl.found
		over += pl.over
	}
	return found / over
}

// worth is the index of a place.
func (pl *place) worth(mean float64, now time.Time) float64 {
	few := fewLooks.Seconds()
	rate := (pl.found + mean*few) / (pl.over + few)
	age := now.Sub(pl.read).Seconds()
	return rate * age * age / 2
}

// answered takes what a probe of a place has shown: the rooms that nobody knew, and the Next
// that follows. asked is when it was asked for, by the service's clock.
//
// A Next that no place has is read once, if the page was full of new rooms or the list has
// grown behind its end. Everywhere else what follows is the next place, though a Next that
// names a room is another one each time.
func (p *places) answered(pl *place, at, asked time.Time, unknown []diff.Room, next string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	pl.busy = false
	p.credit = min(p.credit+float64(len(unknown)*findPays), maxCredit)
	before := pl.read
	if age := at.Sub(before); age > 0 { // else the sweep has passed meanwhile
		pl.look(born(unknown, asked.Add(-age)), age)
		pl.read = at
	}
	if next == "" || len(next) > maxNext || !pl.last && len(unknown) == 0 || len(p.all) >= 2*maxPlaces {
		return
	}
	i := slices.Index(p.all, pl)
	if i < 0 || slices.ContainsFunc(p.all, func(o *place) bool { return o.next == next }) {
		return
	}
	pl.last = false
	p.all = slices.Insert(p.all, i+1, &place{next: next, part: part{pl.part.to, pl.part.to}, read: before, first: true})
}

// failed notes that a probe of a place got no answer; stale: the service does not know
// the Next.
func (p *places) failed(pl *place, at time.Time, stale bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	pl.busy, pl.stale, pl.read = false, stale, at
}

func (p *places) len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.all)
}
