package daemon

import (
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/cmd/roomwatch/config"
	"roomwatch/cmd/roomwatch/web"
	"roomwatch/publisher/lease"
	"roomwatch/publisher/natstest"
)

const turnsLease = 15 * time.Second

// turnsPlan is a world in which something changes every few seconds, and which is asked
// every second.
func turnsPlan(seed uint64) weekPlan {
	return weekPlan{Seed: seed, Rooms: 30, Life: 10 * time.Minute, Enters: 0.2, Interval: time.Second, Lease: turnsLease}
}

// askers knows when each process has asked the service.
type askers struct {
	mu          sync.Mutex
	first, last map[*process]time.Time
	newest      *process
	overlaps    int // requests of one that another had replaced
	longest     time.Duration
}

func newAskers() *askers {
	return &askers{first: map[*process]time.Time{}, last: map[*process]time.Time{}}
}

func (a *askers) asked(p *process) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	if a.first[p].IsZero() {
		a.first[p] = now
	} else if a.newest != p {
		a.overlaps++
	}
	if a.newest != nil {
		a.longest = max(a.longest, now.Sub(a.last[a.newest]))
	}
	a.newest, a.last[p] = p, now
}

// of returns when a process has asked first, and last.
func (a *askers) of(p *process) (first, last time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.first[p], a.last[p]
}

// silence returns the longest time without a request since it was called last.
func (a *askers) silence() time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	longest := a.longest
	a.longest = 0
	return longest
}

// A twosome is a writer with at most one that stands by, on two machines.
type twosome struct {
	*week
	asks    *askers
	configs [2]*config.Config
	walls   [2]*wall
	now     *process
	next    *process
	all     []*process // that were started
	at      int        // machine of now
}

// twoOf lets f play with a writer of a plan.
func twoOf(t *testing.T, plan weekPlan, f func(w *twosome)) {
	t.Helper()
	asks := newAskers()
	plan.runWith(t, asks.asked, func(w *week) {
		other := *w.config
		other.DataDir = filepath.Join(filepath.Dir(w.config.DataDir), "other")
		two := &twosome{week: w, asks: asks, configs: [2]*config.Config{w.config, &other}, walls: [2]*wall{&w.wall, {}}, now: w.current.Load()}
		two.all = []*process{two.now}
		defer func() {
			if t := w.t; t.Failed() {
				t.Logf("the newest that they have said:\n%s", tail(w.said.String(), 60))
			}
			for _, p := range two.all { // the bubble ends with the last of them
				p.bury()
			}
		}()
		f(two)
	})
}

// stops ends the writer as a supervisor does.
func (w *twosome) stops(p *process) {
	w.t.Helper()
	if err := p.stop(); err != nil {
		w.t.Errorf("stop: %v", err)
	}
}

// standBy starts the other one, and waits until it is warm and the writer knows it.
func (w *twosome) standBy() {
	w.t.Helper()
	to := 1 - w.at
	w.next = w.launch(w.configs[to], w.walls[to], func(*process) {})
	w.all = append(w.all, w.next)
	w.within(time.Minute, "a warm standby", func() bool {
		s, f := w.now.d.lease.Status(), w.next.d.pub.Status().Following
		return w.next.d.role() == web.RoleStandby && f.CaughtUp && len(s.Standbys) == 1 && s.Standbys[0].CaughtUp
	})
}

// within fails if something does not come true within a time.
func (w *twosome) within(d time.Duration, what string, ok func() bool) {
	w.t.Helper()
	for began := time.Now(); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Since(began) > d {
			w.t.Fatalf("not within %s: %s", d, what)
		}
	}
}

// takesOver has end end the writer, waits until the other one asks the service, which has
// to be so soon after the end began, and puts it in the place of the one before. One that
// has taken over numbers of the epoch goes on in it.
func (w *twosome) takesOver(soon time.Duration, end func()) {
	w.t.Helper()
	epoch, _, known := w.next.d.store.Position()
	began := time.Now()
	end()
	w.within(time.Minute, "the next one asks", func() bool { first, _ := w.asks.of(w.next); return !first.IsZero() })
	before := w.now
	w.now, w.next, w.at = w.next, nil, 1-w.at
	w.current.Store(w.now)
	first, _ := w.asks.of(w.now)
	if took := first.Sub(began); took > soon {
		w.t.Errorf("the next one asks after %v, want %v", took, soon)
	}
	if _, last := w.asks.of(before); !last.Before(first) {
		w.t.Errorf("one asks at %v, the next one from %v on", last, first)
	}
	if now, _, _ := w.now.d.store.Position(); known > 0 && now != epoch {
		w.t.Errorf("a warm standby begins epoch %s after %s", now, epoch)
	}
}

// wantWell lets the world stand still, and fails unless all was told as it was, with so
// many gaps in the watch.
func (w *twosome) wantWell(gaps uint64) {
	w.t.Helper()
	w.settle()
	if w.asks.overlaps > 0 {
		w.t.Errorf("%d requests of one that another had replaced", w.asks.overlaps)
	}
	s := w.judge.verifier.Summary()
	if s.Faults > 0 || s.Gaps != gaps || s.Events < 50 {
		w.t.Errorf("verify: %+v", s)
	}
	w.t.Logf("%d events in %d epochs, %d claims, %d gaps", s.Events, s.Epochs, s.Claims, s.Gaps)
}

// A hundred writers follow each other, whose clocks are half a minute apart: each stops,
// dies, or is cut off from NATS, and the next one has read the stream. Nothing is told
// twice, nothing is told that is not, one asks at a time, and nobody asks for no longer
// than is promised.
func TestHundredTakeovers(t *testing.T) {
	turns := 100
	if testing.Short() {
		turns = 9
	}
	twoOf(t, turnsPlan(11), func(w *twosome) {
		t := w.t
		w.walls[1].set(30 * time.Second)
		w.judge.clockSet = true
		w.live(2 * time.Minute)
		for turn := range turns {
			w.standBy()
			w.asks.silence()
			switch turn % 3 {
			case 0:
				w.takesOver(2*time.Second, func() { w.stops(w.now) })
			case 1:
				w.takesOver(turnsLease+2*time.Second, w.now.bury)
			case 2:
				cut := time.Now()
				before := w.now
				w.takesOver(turnsLease+2*time.Second, func() { before.cutOffNATS(true) })
				if _, last := w.asks.of(before); last.Sub(cut) > turnsLease*2/3 {
					t.Errorf("one that is cut off asks for %v", last.Sub(cut))
				}
				before.cutOffNATS(false)
				w.within(30*time.Second, "the one that was cut off stands by", func() bool { return before.d.role() == web.RoleStandby })
				w.stops(before)
			}
			if longest := w.asks.silence(); longest > turnsLease+2*time.Second+w.plan.Interval {
				t.Errorf("turn %d: nobody asks for %v", turn, longest)
			}
			if turn%10 == 9 {
				w.read()
				w.report()
			}
			w.look()
			if t.Failed() {
				return
			}
		}
		w.wantWell(0)
		if s := w.judge.verifier.Summary(); s.Claims < uint64(turns) {
			t.Errorf("%d claims", s.Claims)
		}
	})
}

// While NATS is away for ten minutes a writer that is alone watches on; one that knows of
// a standby stops, and who has the lease then tells of the gap.
func TestNATSAwayForTenMinutes(t *testing.T) {
	for _, alone := range []bool{true, false} {
		t.Run(map[bool]string{true: "alone", false: "with a standby"}[alone], func(t *testing.T) {
			plan := turnsPlan(12)
			plan.Interval = 5 * time.Second
			twoOf(t, plan, func(w *twosome) {
				w.live(2 * time.Minute)
				if !alone {
					w.standBy()
				}
				w.live(time.Minute)
				w.asks.silence()
				gone := time.Now()
				w.nats.Down()
				w.live(10 * time.Minute)
				_, last := w.asks.of(w.now)
				back := time.Now()
				w.nats.Up()
				if alone {
					w.live(2 * time.Minute)
					if longest := w.asks.silence(); longest > 2*plan.Interval {
						w.t.Errorf("it does not ask for %v", longest)
					}
					w.wantWell(0)
					return
				}
				if last.Sub(gone) > turnsLease*2/3 {
					w.t.Errorf("it asks for %v while another one may take over", last.Sub(gone))
				}
				var won *process
				w.within(time.Minute, "somebody watches again", func() bool {
					for _, p := range []*process{w.now, w.next} {
						if _, at := w.asks.of(p); at.After(back) {
							won = p
						}
					}
					return won != nil
				})
				w.current.Store(won)
				w.live(2 * time.Minute)
				w.wantGap("after it", 1, last, back, "standby")
				w.wantWell(1)
			})
		})
	}
}

// A leader's election, of the lease's bucket or of all of JetStream, takes some seconds:
// neither is the lease lost, nor does anybody pause.
func TestElectionWithAStandby(t *testing.T) {
	for what, words := range map[string][]string{"the bucket": {"KV_" + lease.Bucket, "$KV." + lease.Bucket}, "all": {"$JS.API", "$KV.", "live."}} {
		t.Run(what, func(t *testing.T) {
			var away natstest.Leaderless
			twoOf(t, turnsPlan(13), func(w *twosome) {
				w.nats.Tap(away.Tap)
				away.Cut() // from now on all come by it
				w.now.cutOffNATS(true)
				w.now.cutOffNATS(false)
				w.live(2 * time.Minute)
				w.standBy()
				w.asks.silence()
				for i := range 12 {
					away.Lose(words...)
					w.live(3 * time.Second)
					away.Lose()
					w.live(turnsLease + time.Duration(i)*437*time.Millisecond) // at each moment of a renewal's turn
					if r := w.now.d.role(); r != web.RoleWriter {
						w.t.Fatalf("election %d has made the writer %s", i, r)
					}
				}
				if longest := w.asks.silence(); longest > 2*time.Second {
					w.t.Errorf("nobody asks for %v", longest)
				}
				w.takesOver(2*time.Second, func() { w.stops(w.now) })
				w.wantWell(0)
			})
		})
	}
}

// The bucket of the lease is removed: it is made again, the writer stays the writer, and
// the standby takes over when it stops.
func TestLostLeaseBucket(t *testing.T) {
	twoOf(t, turnsPlan(14), func(w *twosome) {
		w.live(2 * time.Minute)
		w.standBy()
		w.asks.silence()
		js, err := jetstream.New(w.nc)
		if err != nil {
			w.t.Fatal(err)
		}
		if err := js.DeleteKeyValue(w.t.Context(), lease.Bucket); err != nil {
			w.t.Fatal(err)
		}
		w.live(time.Minute)
		if a, b := w.now.d.role(), w.next.d.role(); a != web.RoleWriter || b != web.RoleStandby {
			w.t.Errorf("the writer is %s, the standby %s", a, b)
		}
		if longest := w.asks.silence(); longest > 2*time.Second {
			w.t.Errorf("nobody asks for %v", longest)
		}
		w.takesOver(2*time.Second, func() { w.stops(w.now) })
		w.wantWell(0)
	})
}
