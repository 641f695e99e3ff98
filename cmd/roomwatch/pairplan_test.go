package main

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"roomwatch/publisher/natstest"
)

// A harm is one kind of thing that is done to the processes or to what is between them.
type harm int

const (
	harmKill harm = iota
	harmStop
	harmFreeze
	harmHold
	harmLose
	harmCut
	harmNode     // of the cluster, away
	harmMajority // two of three
	harmCopy     // a further process on a copy of a directory
	harmCopyBoth // a killed process is started again, and so is one on a copy of its directory
	harmCopyOld  // a further process on a directory as it was long ago
	harmOlder    // a build that knows no lease runs beside
	harms
)

func (h harm) String() string {
	return [...]string{"kill", "stop", "freeze", "hold", "lose", "cut", "node", "majority", "copy", "copy both", "copy old", "older"}[h]
}

// trouble is what becomes of the network.
func (h harm) trouble() natstest.Trouble {
	return map[harm]natstest.Trouble{harmHold: natstest.Held, harmLose: natstest.Lost, harmCut: natstest.Cut}[h]
}

// A deed is a harm at a time of its burst.
type deed struct {
	At     time.Duration
	Harm   harm
	Writer bool // it is done to the writer; else to another one
	N      int  // which of the others, which node, how a copy ends
	For    time.Duration
}

func (d deed) String() string {
	whom := fmt.Sprintf("other %d", d.N)
	if d.Writer {
		whom = "the writer"
	}
	return fmt.Sprintf("+%s %s, %s, for %s", d.At.Round(time.Millisecond), d.Harm, whom, d.For.Round(time.Millisecond))
}

// A pairPlan is all that a seed decides. After each burst of deeds all has to be well
// before the next one begins.
type pairPlan struct {
	Seed   uint64
	Places int // in which a roomwatch runs
	rng    *rand.Rand
	deck   []harm
	older  bool // harmOlder is played, too
	Bursts [][]deed
}

func newPairPlan(seed uint64, older bool) *pairPlan {
	p := &pairPlan{Seed: seed, Places: 2 + int(seed%2), rng: rand.New(rand.NewPCG(seed, 99)), older: older}
	return p
}

func (p *pairPlan) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d: %d places", p.Seed, p.Places)
	for i, burst := range p.Bursts {
		fmt.Fprintf(&b, "\nburst %d:", i+1)
		for _, d := range burst {
			fmt.Fprintf(&b, " %s;", d)
		}
	}
	return b.String()
}

// harm deals a kind; each comes once before any comes again.
func (p *pairPlan) harm() harm {
	if len(p.deck) == 0 {
		for h := range harms {
			if h != harmOlder || p.older {
				p.deck = append(p.deck, h)
			}
		}
		p.rng.Shuffle(len(p.deck), func(i, j int) { p.deck[i], p.deck[j] = p.deck[j], p.deck[i] })
	}
	h := p.deck[0]
	p.deck = p.deck[1:]
	return h
}

// burst draws the next burst: one deed, or up to three at about the same time.
func (p *pairPlan) burst() []deed {
	n := 1 + max(0, p.rng.IntN(4)-1) // one as often as two or three
	var all []deed
	for range n {
		d := deed{
			At: time.Duration(p.rng.Int64N(int64(4 * time.Second))), Harm: p.harm(), Writer: p.rng.IntN(4) > 0, N: p.rng.IntN(6),
			For: 300*time.Millisecond + time.Duration(p.rng.Int64N(int64(12*time.Second))),
		}
		if len(all) == 0 {
			d.At = 0
		}
		all = append(all, d)
	}
	p.Bursts = append(p.Bursts, all)
	return all
}
