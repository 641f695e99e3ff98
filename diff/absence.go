package diff

import (
	"math"
	"time"
)

// How certain an absence has to be.
const (
	// falseEnd is the accepted chance that a room which is live is missed by as
	// many sweeps in a row as its end is made to wait for.
	falseEnd = 1e-9
	// mostSweeps bounds that wait, however much the list shifts.
	mostSweeps = 10
	// memory is what one complete sweep leaves of the weight of those before it:
	// the miss rate is that of the last hundred sweeps or so. A shorter memory
	// takes a short list for a calm one between two of its rare misses.
	memory = 0.99
	// pageRooms is how many rooms the service puts on a page at most.
	pageRooms = 20
	// What is supposed before anything was measured. That a list of several
	// pages is calm has to show first: its first misses are known as such only
	// when the rooms are seen again. A list of one page cannot shift while it is read.
	priorMisses, priorMissesOnePage, priorLooks = 1, 0.01, 1000
	// massEndRooms is the size from which on a list is watched for mass ends.
	massEndRooms = 20
	// However fast sweeps are, two odd answers within a moment are one
	// disturbance, not two witnesses: sweeps that end a room begin at least
	// minWitnessSpan apart, and those that end a mass of them massEndSpan.
	minWitnessSpan = 3 * time.Second
	massEndSpan    = 10 * time.Second
)

// A History is what the complete sweeps so far tell about the next absence.
type History struct {
	Complete   uint64    // complete sweeps so far
	Begin, End time.Time // of the newest of them
	Pages      int       // that it read, or that the rooms known then would fill, if those are more

	// Watched is the time between the begins of the complete sweeps so far, all
	// together. The monotonic clock measures it, so that a clock that is set
	// makes no time pass; only across a restart it is the wall clock.
	Watched time.Duration

	Doubted      int           // sweeps in a row, up to the newest, that missed more than MassEndPercent
	DoubtedSince time.Duration // Watched when the first of them began

	// Misses in Looks: how often a sweep missed a room that was shown again in
	// the same life, and how many rooms the sweeps looked at, old sweeps weighing
	// less.
	Misses, Looks float64
}

// Saw takes the sight of a room into the history: the sweeps that had missed the
// room were wrong.
func (h History) Saw(s Sight) History {
	h.Misses += float64(s.Missed)
	return h
}

// MissRate returns how likely a sweep is to miss a room that is live, between 0 and 1.
func (h History) MissRate() float64 {
	prior := float64(priorMisses)
	if h.Pages <= 1 {
		prior = priorMissesOnePage
	}
	return min(1, (h.Misses+prior)/(h.Looks+priorLooks))
}

// SweepRecall returns what share of the live rooms that the list should show a sweep has
// shown, over the last hundred sweeps or so: what it missed and something else has shown
// in the same life counts against it. measured is false before the first complete sweep.
func (h History) SweepRecall() (share float64, measured bool) {
	if h.Looks == 0 {
		return 0, false
	}
	return max(0, 1-h.Misses/h.Looks), true
}

// A Tally counts what a complete sweep found.
type Tally struct {
	Known  int // rooms known at its end
	Unseen int // those of them that it did not show
}

// A Verdict says which absences a complete sweep proves.
type Verdict struct {
	History History       // with the judged sweep in it
	Need    uint64        // complete sweeps in a row that must have missed a room
	Span    time.Duration // from the begin of the first of them to that of the last, at least
	Doubted bool          // the sweep misses so much that the service is doubted: nothing ends
	Empty   bool          // it showed nothing although rooms were known
}

// Judge takes a complete sweep into the history and says which absences are
// believed now.
//
// The number of sweeps asked for is the least n with rateⁿ below one in a
// billion. Where a sweep misses more than MassEndPercent of at least 20 known
// rooms, it is rather the service that is wrong: nothing ends until
// MassEndSweeps complete sweeps in a row agree, and then only what all of them
// missed: for massEndSpan at least, so that they do not all fall into one
// disturbance.
//
// A list that comes shorter than it was does not lower what is asked of it: the
// known rooms say how many pages it should have.
func (p Policy) Judge(h History, s Sweep, t Tally) Verdict {
	h.Complete++
	h.Begin, h.End = s.Begin, s.End
	h.Pages = max(s.Pages, (t.Known+pageRooms-1)/pageRooms)
	h.Watched += max(0, s.Apart)
	h.Misses *= memory
	h.Looks = (h.Looks + float64(t.Known)) * memory

	if t.Known >= massEndRooms && float64(t.Unseen)*100 > p.MassEndPercent*float64(t.Known) {
		if h.Doubted == 0 {
			h.DoubtedSince = h.Watched
		}
		h.Doubted++
	} else {
		h.Doubted, h.DoubtedSince = 0, 0
	}
	v := Verdict{History: h, Doubted: p.Guards(h), Empty: t.Known > 0 && t.Unseen == t.Known}
	v.Need, v.Span = p.Required(h)
	return v
}

// Required returns how many complete sweeps in a row must have missed a room before sweeps
// end it, and how far apart the begins of the first and the last of them must be, at
// least, after the sweeps of the history.
func (p Policy) Required(h History) (sweeps uint64, span time.Duration) {
	sweeps, span = p.need(h.MissRate()), max(p.Interval, minWitnessSpan)
	if h.Doubted > 0 && p.MassEndSweeps > 0 {
		return max(sweeps, uint64(p.MassEndSweeps)), p.MassEndSpan()
	}
	return sweeps, span
}

// Guards reports whether the newest sweeps miss so much that nothing ends until
// more of them agree.
func (p Policy) Guards(h History) bool {
	return h.Doubted > 0 && p.MassEndSweeps > 0 &&
		(h.Doubted < p.MassEndSweeps || h.Watched-h.DoubtedSince < p.MassEndSpan())
}

// MassEndSpan is how far apart the begins of the first and the last of the
// sweeps are, at least, that have to agree before rooms end in a mass.
func (p Policy) MassEndSpan() time.Duration { return max(p.Interval, massEndSpan) }

func (p Policy) need(rate float64) uint64 {
	n := float64(mostSweeps)
	if rate < 1 {
		n = min(n, math.Floor(math.Log(falseEnd)/math.Log(rate))+1)
	}
	return uint64(max(n, float64(p.AbsentSweeps), 1))
}

// Ends reports whether the absence that m marks is believed. m must be marked
// up to and with the judged sweep.
func (v Verdict) Ends(m Missing) bool {
	return !v.Doubted && m.Sweeps(v.History.Complete) >= v.Need && v.History.Watched-m.Watched >= v.Span
}

// Mark returns the mark of a room that the judged sweep is the first to miss.
func (v Verdict) Mark(k Known, before History) Missing {
	return Missing{
		First:    v.History.Complete,
		Watched:  v.History.Watched,
		LastSeen: k.lastSeen(before.Begin),
	}
}

// Again reports whether the next sweep should begin at once, given how many
// rooms are missing after this one. More looks decide about rooms that slide
// across pages. They do not decide about a service that answers wrongly for a
// while: where a sweep is doubted or empty, the next one keeps its interval, so
// that the sweeps that have to agree are spread over time.
func (v Verdict) Again(missing int) bool { return missing > 0 && !v.Doubted && !v.Empty }
