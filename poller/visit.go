package poller

import (
	"math"
	"time"

	"roomwatch/diff"
)

// A visit is what a sweep met on one page.
type visit struct {
	next string        // by which the page was asked for; empty for the first one
	at   time.Time     // when it was read
	age  time.Duration // since this part of the list was read before; 0 if that is not known
	low  int64         // count of its last room; of an empty page that of the one before
	born int           // rooms that nobody knew and that have come since then
}

// A part is a stretch of a list in the order of falling counts, from 0 - count to the next
// count: where a page lies among those of the same count says the rest. It stays the same
// though Nexts and numbers of pages change from sweep to sweep.
type part struct{ from, to float64 }

// common is the length that two parts have in common.
func (a part) common(b part) float64 { return max(0, min(a.to, b.to)-max(a.from, b.from)) }

// parts returns where the pages of a sweep lie.
func parts(visits []visit) []part {
	const least = 1e-9 // pages have a length, also where counts seem to rise because the list shifts
	all := make([]part, len(visits))
	for i := 0; i < len(visits); {
		same := 1
		for i+same < len(visits) && visits[i+same].low == visits[i].low {
			same++
		}
		for k := range same {
			all[i+k].from = float64(k)/float64(same) - float64(visits[i].low)
		}
		i += same
	}
	for i := range all {
		if i > 0 {
			all[i].from = max(all[i].from, all[i-1].to)
		}
		all[i].to = math.Floor(all[i].from) + 1
		if i+1 < len(all) {
			all[i].to = all[i+1].from
		}
		all[i].to = max(all[i].to, all[i].from+least)
	}
	return all
}

// pass notes that the sweep on its way reads its page number n, from 0, and returns how
// long ago that part of the list was read before, as far as the number tells; 0 if that is
// not known.
func (p *places) pass(n int, at time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := n - p.before
	if i < 0 || i >= len(p.all) {
		return 0
	}
	age := at.Sub(p.all[i].read)
	p.all[i].read = at
	return age
}

// learn takes the pages of a complete sweep as the places of the next probes. What was found
// in a part of the list stays known of it.
func (p *places) learn(visits []visit) {
	p.mu.Lock()
	defer p.mu.Unlock()
	where := parts(visits)
	skip := max(0, len(visits)-maxPlaces)
	now := make([]*place, 0, len(visits)-skip)
	rest := p.all
	for i := skip; i < len(visits); i++ {
		v := visits[i]
		n := &place{next: v.next, part: where[i], read: v.at, last: i == len(visits)-1}
		n.stale = v.next == "" || len(v.next) > maxNext // the first page is that of the sweep
		for len(rest) > 1 && rest[0].part.to <= n.part.from {
			rest = rest[1:]
		}
		n.inherit(rest)
		if v.age > 0 {
			n.look(v.born, v.age)
		}
		now = append(now, n)
	}
	p.all, p.before = now, skip
}

// inherit gives a new place what was found in its part of the list. old begins with the
// first place that may reach into it.
func (pl *place) inherit(old []*place) {
	var length float64
	for _, o := range old {
		if o.part.from >= pl.part.to {
			break
		}
		common := pl.part.common(o.part)
		if common == 0 {
			continue
		}
		pl.found += o.found * common / (o.part.to - o.part.from)
		pl.over += o.over * common
		length += common
		if o.read.After(pl.read) {
			pl.read = o.read // by a probe, since the sweep was there
		}
	}
	if length > 0 {
		pl.over /= length
	}
}

// born returns how many of the rooms have come since a moment, by the service's clock. The
// others were somewhere else in the list before: nothing is to be learned from them.
func born(rooms []diff.Room, since time.Time) (n int) {
	for _, r := range rooms {
		if r.CreateTime >= since.Unix() {
			n++
		}
	}
	return n
}
