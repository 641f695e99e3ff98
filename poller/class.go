package poller

import "roomwatch/diff"

// A class is what shares the rate of point reads with others. While all of them
// wait, each gets its share; what one does not need the others have, but for callbacks:
// they come from outside, and get no more than their share while anything else waits.
type class int

const (
	absences  class = iota // rooms that sweeps do not show: they may have ended
	hidden                 // rooms that the list does not show: do they live, and are they still hidden?
	callbacks              // rooms of which the vendor's server has called
	others                 // what else a page or a read says of rooms
	classes
)

// share returns the part of the rate that a class gets while all of them wait.
func (c class) share() float64 { return [classes]float64{1. / 2, 1. / 5, 1. / 5, 1. / 10}[c] }

func classOfSource(s diff.Source) class {
	switch s {
	case diff.ToldByCallback, diff.ToldOtherwise:
		return callbacks
	case diff.HiddenRoom:
		return hidden
	case diff.ShownAgain, diff.ShownByProbe, diff.LowerCount:
		return others
	default:
		return absences
	}
}

// Turns say which class is next, by what each has had. The zero value is ready.
type turns struct {
	used [classes]float64 // reads of each class by its share
	rest float64          // the same of all but callbacks together
}

// next returns the class that is next of those that have something due; classes if none has.
func (t *turns) next(due [classes]bool) class {
	best := classes
	for c, ok := range due {
		if c := class(c); ok && c != callbacks && (best == classes || t.used[c] < t.used[best]) {
			best = c
		}
	}
	if due[callbacks] && (best == classes || t.used[callbacks] < t.rest) {
		return callbacks
	}
	return best
}

// charge counts a read of a class; due is what has still something due. What has nothing
// due saves nothing up.
func (t *turns) charge(c class, due [classes]bool) {
	t.used[c] += 1 / c.share()
	rest := false // is due
	for o, ok := range due {
		if o := class(o); o != callbacks {
			rest = rest || ok
			if c != callbacks && !ok {
				t.used[o] = max(t.used[o], t.used[c])
			}
		}
	}
	if c != callbacks {
		t.rest += 1 / (1 - callbacks.share())
	}
	if !rest {
		t.rest = max(t.rest, t.used[callbacks])
	}
	if !due[callbacks] {
		t.used[callbacks] = max(t.used[callbacks], t.rest)
	}
}
