package daemon

import (
	"math/rand/v2"
	"net/http"
	"os"
	"time"

	"roomwatch/poller/simulator"
)

// A kind of episode.
type kind int

const (
	calm       kind = iota // nothing is wrong; at its end the judge looks whether all was told
	listFails              // a share of the requests of the list fails
	infoFails              // a share of the point reads fails
	bothFail               // of both
	lies                   // the service lies for at most two seconds, up to N times
	readsLie               // no read finds a room, for two seconds; the list is true
	staleList              // the list is a copy as old as the episode
	deadCursor             // a share of the cursors is refused
	natsAway               // the NATS server is down
	killed                 // the daemon is killed, N moments of a kind later
	stateLost              // killed, and the state file is lost
	restarted              // the daemon is stopped and started again
	clockSet               // the clock of the machine is set, and back at the end
	massEnd                // most rooms end at once
	fullQuota              // sweeps follow each other without a pause
)

// A kindOf is how often and how long a kind of episode is.
type kindOf struct {
	name        string
	weight      int
	least, most time.Duration
	reads       bool // only with point reads: what it does to sweeps alone is outside of what is promised
	run         func(w *week, e episode, rng *rand.Rand)
}

// kinds is in the order of the constants.
func kinds() []kindOf {
	const s, m = time.Second, time.Minute
	return []kindOf{
		{"calm", 0, 0, 0, false, func(w *week, e episode, _ *rand.Rand) { w.calm(e.For) }},
		{"list fails", 6, 5 * s, 5 * m, false, (*week).listFails},
		{"reads fail", 4, 5 * s, 5 * m, true, (*week).infoFails},
		{"both fail", 3, 5 * s, 2 * m, false, (*week).bothFail},
		{"lies", 8, s, 2 * m, false, (*week).lie},
		{"reads lie", 4, 3 * s, 2 * m, true, (*week).readsLie},
		{"stale list", 4, 10 * s, 3 * m, true, (*week).staleList},
		{"dead cursors", 3, 10 * s, 3 * m, false, (*week).deadCursors},
		{"NATS away", 3, s, 10 * m, false, (*week).natsAway},
		{"killed", 10, s, 5 * m, false, (*week).kill},
		{"state lost", 2, s, 2 * m, false, (*week).loseState},
		{"restarted", 2, 0, 10 * m, false, (*week).restart},
		{"clock set", 2, 10 * s, 60 * m, false, (*week).setClock},
		{"mass end", 1, m, 3 * m, false, (*week).massEnd},
		{"full quota", 0, 0, 0, false, (*week).fullQuota},
	}
}

// String names the kind in the schedule.
func (k kind) String() string { return kinds()[k].name }

// play lets the episodes happen one after the other.
func (w *week) play() {
	begin := time.Now()
	read := begin
	for _, e := range w.plan.Episodes {
		w.live(time.Until(begin.Add(e.At)))
		w.judge.begin(e)
		kinds()[e.Kind].run(w, e, rand.New(rand.NewPCG(e.Seed, 1)))
		if w.judge.end(e); time.Since(read) > time.Hour {
			w.read()
			w.report()
			read = time.Now()
		}
		if w.t.Failed() {
			return
		}
	}
}

// live lets time pass, and keeps an eye on the truth and the daemon.
func (w *week) live(d time.Duration) {
	for end := time.Now().Add(d); ; {
		w.look()
		left := time.Until(end)
		if left <= 0 {
			return
		}
		time.Sleep(min(left, time.Minute))
	}
}

// through lets an episode last, and now and then the daemon is killed in it.
func (w *week) through(e episode, rng *rand.Rand) {
	if rng.IntN(4) > 0 {
		w.live(e.For)
		return
	}
	w.live(e.For / 2)
	w.die(anyMoment, 1, 0)
	w.live(e.For / 2)
}

func (w *week) listFails(e episode, rng *rand.Rand) {
	f := someFaults(rng, 0.1+0.9*e.Rate)
	w.faults.list.Store(&f)
	w.through(e, rng)
	w.faults.clear()
}

func (w *week) infoFails(e episode, rng *rand.Rand) {
	f := someFaults(rng, 0.1+0.9*e.Rate)
	w.faults.info.Store(&f)
	w.through(e, rng)
	w.faults.clear()
}

func (w *week) bothFail(e episode, rng *rand.Rand) {
	f := someFaults(rng, 0.1+0.9*e.Rate)
	w.faults.list.Store(&f)
	w.faults.info.Store(&f)
	w.through(e, rng)
	w.faults.clear()
}

// lie lets the service lie up to N times, with a truth of some seconds between.
func (w *week) lie(e episode, rng *rand.Rand) {
	for range e.N {
		d := time.Duration(100+rng.IntN(1901)) * time.Millisecond
		switch kind := rng.IntN(4); kind {
		case 3: // the list is empty
			f := func(int, *http.Request) *simulator.Fault { return &simulator.Fault{EmptyList: true} }
			w.faults.list.Store(&f)
			w.live(d)
			w.faults.clear()
		default:
			w.service.Lie([]simulator.Lies{simulator.LieInfo, simulator.LieList, simulator.LieInfo | simulator.LieList}[kind], d)
			w.live(d)
		}
		pause := 3500*time.Millisecond + time.Duration(rng.Float64()*float64(20*time.Second))
		if w.plan.Reads == 0 {
			pause += 2 * w.plan.Interval
		}
		w.live(pause)
	}
}

func (w *week) readsLie(e episode, rng *rand.Rand) {
	// Two seconds are promised. With the whole of it seed 2 has told two false ends of hidden rooms (15:36 of its day).
	w.service.Lie(simulator.LieInfo, min(e.For, 2*time.Second))
	w.through(e, rng)
}

func (w *week) staleList(e episode, rng *rand.Rand) {
	w.faults.stale.Store(w.service.List())
	w.through(e, rng)
	w.faults.clear()
}

func (w *week) deadCursors(e episode, rng *rand.Rand) {
	f := cursorsDie(rng.Uint64(), e.Rate)
	w.faults.list.Store(&f)
	w.through(e, rng)
	w.faults.clear()
}

func (w *week) natsAway(e episode, rng *rand.Rand) {
	w.nats.Down()
	w.through(e, rng)
	w.nats.Up()
}

func (w *week) kill(e episode, rng *rand.Rand) {
	w.die(moment(rng.IntN(int(moments))), e.N, e.For/4)
}

func (w *week) loseState(e episode, rng *rand.Rand) {
	w.bury(moment(rng.IntN(int(moments))), e.N)
	if err := os.Remove(w.config.StatePath()); err != nil {
		w.t.Fatal(err)
	}
	w.live(e.For / 4)
	w.start(w.config)
}

// die kills the daemon and starts it again after a while.
func (w *week) die(m moment, n int, after time.Duration) {
	w.bury(m, n)
	w.live(after)
	w.start(w.config)
}

// bury kills the daemon at the n-th moment of a kind, or after a minute.
func (w *week) bury(m moment, n int) {
	p := w.current.Load()
	if p.arm(m, n); m != anyMoment {
		select {
		case <-p.killed:
		case <-time.After(time.Minute):
			m = anyMoment
		}
	}
	w.deaths[m]++
	p.bury()
}

// restart stops the daemon and starts it again after a while.
func (w *week) restart(e episode, _ *rand.Rand) {
	w.stop()
	w.live(e.For)
	w.start(w.config)
}

func (w *week) stop() {
	if err := w.current.Load().stop(); err != nil {
		w.t.Errorf("stop: %v", err)
	}
}

func (w *week) setClock(e episode, rng *rand.Rand) {
	off := time.Duration(rng.IntN(4*3600)-2*3600) * time.Second
	if e.N < 4 {
		off /= 600 // as NTP does
	}
	w.wall.set(off.Truncate(time.Second))
	if rng.IntN(2) == 0 {
		w.live(e.For / 2)
		w.die(anyMoment, 1, 0)
	}
	w.live(e.For)
	w.wall.set(0)
	if rng.IntN(3) == 0 {
		w.die(anyMoment, 1, 0)
	}
}

func (w *week) massEnd(e episode, rng *rand.Rand) {
	live := w.service.Truth().Live()
	rng.Shuffle(len(live), func(i, j int) { live[i], live[j] = live[j], live[i] })
	for _, l := range live[:len(live)*(3+rng.IntN(7))/10] {
		if err := w.service.Close(l.RoomID); err != nil {
			w.t.Fatal(err)
		}
	}
	w.live(e.For)
}

func (w *week) fullQuota(e episode, _ *rand.Rand) {
	w.stop()
	c := *w.config
	c.Interval = 100 * time.Millisecond
	w.start(&c)
	w.live(e.For)
	w.stop()
	w.start(w.config)
}
