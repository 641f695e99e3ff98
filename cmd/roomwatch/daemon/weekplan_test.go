package daemon

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"roomwatch/poller/simulator"
)

// A weekPlan is all that a seed decides: the world, and what happens to it and when.
type weekPlan struct {
	Seed      uint64
	Rooms     int
	Life      time.Duration // of a room, on average
	Enters    float64       // a second
	Recreates float64       // a day
	Hides     float64       // a day
	Next      simulator.Next
	NextLife  time.Duration // 0: for ever
	InfoLag   time.Duration
	Latency   time.Duration
	Interval  time.Duration
	Reads     float64 // a second; 0: sweeps alone decide
	Callbacks bool
	Odd       bool          // RoomIDs that are hard to carry
	Lease     time.Duration // 0: a second one takes over at once

	Episodes []episode
}

// An episode is one thing that happens to the daemon or to its world.
type episode struct {
	At   time.Duration // from the beginning
	Kind kind
	For  time.Duration
	Rate float64 // a share, or what the kind makes of it
	N    int
	Seed uint64 // of what is drawn while it happens
}

func (e episode) String() string {
	return fmt.Sprintf("%s %s for %s, %.2f, %d", e.At.Round(time.Second), e.Kind, e.For.Round(time.Millisecond), e.Rate, e.N)
}

// newPlan draws a plan of so long a time.
func newPlan(seed uint64, long time.Duration) weekPlan {
	rng := rand.New(rand.NewPCG(seed, 77))
	between := func(a, b float64) float64 { return a + rng.Float64()*(b-a) }
	p := weekPlan{
		Seed: seed, Rooms: 60 + rng.IntN(341), Life: time.Duration(between(0.3, 6) * float64(time.Hour)), Enters: between(0.05, 1),
		Recreates: between(0, 100), Next: simulator.Next(seed % 3), InfoLag: time.Duration(rng.IntN(2000)) * time.Millisecond,
		Latency: time.Duration(5+rng.IntN(200)) * time.Millisecond, Reads: 50, Callbacks: rng.IntN(2) == 0,
	}
	if seed%2 == 0 { // from a source of its own: the plans of the seeds stay what they are
		p.NextLife = 20*time.Second + time.Duration(rand.New(rand.NewPCG(seed, 78)).Int64N(int64(100*time.Second)))
	}
	p.Odd = rng.IntN(2) == 0
	p.Interval = time.Duration(10+rng.IntN(51)) * time.Second
	p.Hides = between(0, 0.2) * float64(p.Rooms) * float64(24*time.Hour) / float64(p.Life)
	if seed%4 == 3 {
		// While a room is missing, sweeps follow each other: rooms end so rarely that it is not always so.
		p.Reads, p.Hides, p.Callbacks = 0, 0, false
		p.Rooms, p.Interval = 60+rng.IntN(91), time.Duration(10+rng.IntN(11))*time.Second
		p.Life = time.Duration(float64(p.Rooms)*between(120, 400)) * time.Second
	}
	at := 2 * time.Minute
	for day := time.Duration(0); day < long; day += 24 * time.Hour {
		hour := func() time.Duration { return day + time.Duration(between(2, 20)*float64(time.Hour)) }
		nats, full := hour(), hour()
		for end := min(day+24*time.Hour, long); ; {
			if at += time.Duration(rng.ExpFloat64() * float64(10*time.Minute)); at > end-30*time.Minute {
				at = end
				break
			}
			e := p.draw(rng, at)
			switch {
			case nats > 0 && at > nats:
				e, nats = episode{At: at, Kind: natsAway, For: time.Hour}, 0
			case full > 0 && at > full:
				e, full = episode{At: at, Kind: fullQuota, For: time.Hour}, 0
			}
			p.Episodes = append(p.Episodes, e)
			at += e.For
		}
		p.Episodes = append(p.Episodes, episode{At: at, Kind: calm, For: 15 * time.Minute})
		at += 15 * time.Minute
	}
	return p
}

// draw draws an episode.
func (p *weekPlan) draw(rng *rand.Rand, at time.Duration) episode {
	var weighted []kind
	for k, what := range kinds() {
		if p.Reads > 0 || !what.reads {
			for range what.weight {
				weighted = append(weighted, kind(k))
			}
		}
	}
	e := episode{At: at, Kind: weighted[rng.IntN(len(weighted))], Rate: rng.Float64(), N: 1 + rng.IntN(8), Seed: rng.Uint64()}
	bounds := kinds()[e.Kind]
	e.For = bounds.least + time.Duration(rng.Float64()*rng.Float64()*float64(bounds.most-bounds.least))
	return e
}

// String prints the plan, to be read by a person.
func (p weekPlan) String() string {
	var b strings.Builder
	fmt.Fprintln(&b, p.world())
	for _, e := range p.Episodes {
		fmt.Fprintln(&b, e)
	}
	return b.String()
}

func (p weekPlan) name() string { return fmt.Sprintf("seed %d", p.Seed) }

func (p weekPlan) world() string {
	return fmt.Sprintf("seed %d: %d rooms of %s, %.2f enter a second, a day %.0f are re-created and %.0f hide or show; Next %d that lives for %s, lag %s, latency %s, odd names %t; interval %s, %v reads a second, callbacks %t",
		p.Seed, p.Rooms, p.Life.Round(time.Second), p.Enters, p.Recreates, p.Hides, p.Next, p.NextLife.Round(time.Second), p.InfoLag, p.Latency, p.Odd, p.Interval, p.Reads, p.Callbacks)
}

// simulator is the world of the plan.
func (p weekPlan) simulator() simulator.Config {
	day := (24 * time.Hour).Seconds()
	c := simulator.Config{
		SDKAppID: weekApp, SecretKey: weekKey, Seed: p.Seed, Rooms: p.Rooms, Enters: p.Enters, Recreates: p.Recreates / day, Hides: p.Hides / day,
		Next: p.Next, NextLife: p.NextLife, InfoLag: p.InfoLag, Latency: p.Latency, Forget: 3 * time.Hour,
	}
	if p.Odd {
		c.RoomIDs = oddRoomID
	}
	if p.Life > 0 {
		c.Opens = float64(p.Rooms) / p.Life.Seconds()
	}
	return c
}

// oddRoomID names the n-th room with characters that break subjects, keys and URLs.
func oddRoomID(n int) string {
	kinds := [...]string{"a.b", "a b", "*", ">", "直播间", "%2E", "a/b?c=d&e", "</script>", "\x00\n", "=2E"}
	return fmt.Sprintf("%s%d", kinds[n%len(kinds)], n/len(kinds))
}
