package state

import "roomwatch/diff"

// work is a page, a probe, the answer of a point read, or the end of the sweep.
type work struct {
	page  diff.Page
	probe *diff.Page
	read  *diff.Read
	end   *sweepEnd
}

// A batch is the work that is committed together.
type batch struct {
	pages, probes []diff.Page
	reads         []diff.Read
	end           *sweepEnd
}

func (b *batch) len() int { return len(b.pages) + len(b.probes) + len(b.reads) }

// clear empties the batch: the rooms of its pages need not stay in memory until the next ones come.
func (b *batch) clear() {
	clear(b.pages)
	clear(b.probes)
	*b = batch{pages: b.pages[:0], probes: b.probes[:0], reads: b.reads[:0]}
}

type sweepEnd struct {
	sweep diff.Sweep
	reply chan<- sweepResult // capacity 1
}

type sweepResult struct {
	again bool
	err   error
}

// gather adds w and what waits behind it to the batch. It stops at the end of the sweep.
func (c *Committer) gather(b *batch, w work) {
	for ok := true; ok; {
		switch {
		case w.end != nil:
			b.end = w.end
			return
		case w.read != nil:
			b.reads = append(b.reads, *w.read)
		case w.probe != nil:
			b.probes = append(b.probes, *w.probe)
		default:
			b.pages = append(b.pages, w.page)
		}
		if b.len() == MaxPages {
			return
		}
		w, ok = c.next()
	}
}
