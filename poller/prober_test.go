package poller

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"roomwatch/diff"
	"roomwatch/poller/simulator"
)

// A knower is a Sink that knows the rooms which it was shown, and since when. What a probe
// shows it knows a moment later, as by a point read.
type knower struct {
	mu     sync.Mutex
	since  map[diff.Key]time.Time
	probes int
	pages  int
	sweeps int
}

func (k *knower) show(rooms []diff.Room, after time.Duration) (unknown []diff.Room) {
	now := time.Now()
	for _, r := range rooms {
		since, ok := k.since[r.Key()]
		if !ok || since.After(now) {
			unknown = append(unknown, r)
		}
		if !ok || since.After(now.Add(after)) {
			k.since[r.Key()] = now.Add(after)
		}
	}
	return unknown
}

func (k *knower) Page(_ context.Context, p diff.Page) ([]diff.Room, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.pages++
	return k.show(p.Rooms, 0), nil
}

func (k *knower) Probe(_ context.Context, p diff.Page) ([]diff.Room, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.probes++
	return k.show(p.Rooms, 80*time.Millisecond), nil
}

func (k *knower) End(context.Context, diff.Sweep) (bool, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.sweeps++
	return false, nil
}

// A watched is one poller that watches one world.
type watched struct {
	world *simulator.Service
	sink  *knower
	poll  *Poller
}

// watch starts a poller with a share for probes on a world.
func watch(t *testing.T, c simulator.Config, p Config) watched {
	t.Helper()
	c.SDKAppID, c.SecretKey = 1400000000, testKey
	c.Start = time.Now().Add(-10 * time.Minute) // at its birth far too many rooms have no views
	w, err := simulator.New(c)
	if err != nil {
		t.Fatal(err)
	}
	s := &service{conns: make(chan net.Conn), done: make(chan struct{}), begin: time.Now()}
	srv := &http.Server{Handler: w}
	go func() { _ = srv.Serve(s) }()
	t.Cleanup(func() {
		_ = srv.Close()
		time.Sleep(time.Hour) // whatever hangs ends, too
	})
	p.PointReadsPerSecond = 50
	k := &knower{since: map[diff.Key]time.Time{}}
	poll := s.newPoller(t, p)
	start(t, poll, k)
	return watched{w, k, poll}
}

// counts returns how many pages and probes have been read.
func (p watched) counts() (pages, probes int) {
	p.sink.mu.Lock()
	defer p.sink.mu.Unlock()
	return p.sink.pages, p.sink.probes
}

// ages returns how long the rooms that were opened between two moments had been there when
// they became known, sorted.
func (p watched) ages(from, to time.Time) (ages []time.Duration) {
	p.sink.mu.Lock()
	defer p.sink.mu.Unlock()
	for _, l := range p.world.Truth().Lives {
		since, ok := p.sink.since[diff.Key{RoomID: l.RoomID, CreateTime: l.CreateTime}]
		if ok && l.Opened.After(from) && l.Opened.Before(to) {
			ages = append(ages, since.Sub(l.Opened))
		}
	}
	slices.Sort(ages)
	return ages
}

func lively(next simulator.Next) simulator.Config {
	return simulator.Config{
		Seed: 1, Rooms: 1000, Opens: 1, Enters: 60, Next: next, Latency: 40 * time.Millisecond,
	}
}

// With probes new rooms are known in less than half of the time, and sweeps take no more
// than their share longer, with cursors that show the list as it is.
func TestProbesFindNews(t *testing.T) {
	for name, next := range map[string]simulator.Next{"rank": simulator.NextRank, "key": simulator.NextKey} {
		t.Run(name, func(t *testing.T) {
			median := func(share float64) (age time.Duration, pages int) {
				synctest.Test(t, func(t *testing.T) {
					p := watch(t, lively(next), Config{ProbeShare: share, Interval: time.Second})
					time.Sleep(30 * time.Second)
					from := time.Now()
					before, _ := p.counts()
					time.Sleep(100 * time.Second)
					after, probes := p.counts()
					time.Sleep(10 * time.Second)
					all := p.ages(from, from.Add(100*time.Second))
					age, pages = all[len(all)/2], after-before
					if n := p.world.MaxInSecond(); n > vendorRate {
						t.Errorf("%d requests within a second", n)
					}
					if (probes > 0) != (share > 0) {
						t.Errorf("%d probes with a share of %v", probes, share)
					}
				})
				return age, pages
			}
			alone, pagesAlone := median(0)
			with, pages := median(0.25)
			t.Logf("median age %v, with probes %v; %d pages, with probes %d", alone, with, pagesAlone, pages)
			if with > alone/2 {
				t.Errorf("new rooms are known after %v, without probes after %v", with, alone)
			}
			if float64(pages) < 0.74*float64(pagesAlone) {
				t.Errorf("%d pages, without probes %d", pages, pagesAlone)
			}
		})
	}
}

// Cursors that bring nothing cost one request in a hundred, after the first few probes.
func TestProbesThatBringNothing(t *testing.T) {
	for name, c := range map[string]simulator.Config{
		"frozen": lively(simulator.NextFrozen),
		"dying":  {Seed: 1, Rooms: 1000, Opens: 1, Enters: 60, Next: simulator.NextKey, NextLife: 300 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := watch(t, c, Config{ProbeShare: 0.25, Interval: time.Second})
				time.Sleep(2 * time.Minute)
				pages, _ := p.counts()
				requests := p.world.Requests()
				time.Sleep(8 * time.Minute)
				after, _ := p.counts()
				all := p.world.Requests() - requests
				made := all - (after - pages)
				if made > all/90 || made < all/200 || all < 4000 {
					t.Errorf("%d of %d requests are probes", made, all)
				}
				if p.sink.sweeps < 60 {
					t.Errorf("%d sweeps", p.sink.sweeps)
				}
			})
		})
	}
}

// The promise of the quota holds with probes on their way beside the sweep, whatever the
// service does, and the sweep keeps its part of it though probes hang.
func TestProbesKeepTheQuota(t *testing.T) {
	throttled, failing, dropped := simulator.Fault{ErrorCode: 60011}, simulator.Fault{ErrorCode: 100001}, simulator.Fault{Drop: true}
	for name, tt := range map[string]struct {
		latency time.Duration
		fault   func(n int, r *http.Request) *simulator.Fault
		rate    float64 // pages a second that the sweep reads at least, of those without probes; 0: not asked
	}{
		"quick":       {0, nil, 0.74},
		"slow":        {300 * time.Millisecond, nil, 0.9}, // a serial sweep leaves enough for both
		"jitter":      {10 * time.Millisecond, simulator.Random(1, 0.3, simulator.Fault{Hang: 90 * time.Millisecond}, simulator.Fault{Hang: 700 * time.Millisecond}), 0.74},
		"throttled":   {20 * time.Millisecond, simulator.Random(2, 0.03, throttled), 0},
		"all of it":   {40 * time.Millisecond, simulator.Random(3, 0.05, throttled, failing, dropped, simulator.Fault{Hang: 3 * time.Second}), 0},
		"given up on": {0, simulator.Random(4, 0.1, simulator.Fault{Hang: 4 * time.Second}), 0},
		"only probes": {0, nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			pages := func(share float64) (pages int) {
				synctest.Test(t, func(t *testing.T) {
					c := simulator.Config{Seed: 1, Rooms: 300, Opens: 2, Enters: 60, Latency: tt.latency, Fault: tt.fault}
					conf := Config{ProbeShare: share, Interval: time.Millisecond, RequestsPerSecond: 10}
					if name == "only probes" {
						conf.Interval = time.Hour
					}
					p := watch(t, c, conf)
					time.Sleep(90 * time.Second)
					pages, _ = p.counts()
					if n := p.world.MaxInSecond(); n > vendorRate {
						t.Errorf("with a share of %v: %d requests arrived within a second", share, n)
					}
				})
				return pages
			}
			alone, with := pages(0), pages(maxProbeShare/2)
			pages(maxProbeShare)
			if float64(with) < tt.rate*float64(alone) {
				t.Errorf("%d pages, without probes %d", with, alone)
			}
		})
	}
}

// Probes whose answers do not come take no more from the sweep than their share.
func TestProbesThatHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, nil)
		var mu sync.Mutex
		asked := map[string]bool{} // each Next is another one, and the sweep asks for it first
		hung := 0
		s.reply = func(c call) (int, string) {
			mu.Lock()
			probe := asked[c.next] && c.next != ""
			asked[c.next] = true
			if probe {
				hung++
			}
			mu.Unlock()
			if probe {
				time.Sleep(time.Minute)
			}
			var page int
			_, _ = fmt.Sscanf(c.next, "%d", &page) // 0 for the first one
			if page == 29 {
				return 200, ok("", "last@1=5")
			}
			return 200, ok(fmt.Sprintf("%d after request %d", page+1, c.n), fmt.Sprintf("room %d@1=5", page))
		}
		sink := &recorder{}
		p := s.newPoller(t, Config{ProbeShare: 0.25, PointReadsPerSecond: 50, Interval: time.Millisecond, RequestsPerSecond: 10})
		start(t, p, sink)
		time.Sleep(time.Minute)
		sink.mu.Lock()
		pages := len(sink.pages)
		sink.mu.Unlock()
		mu.Lock()
		defer mu.Unlock()
		if hung < 10 || pages < 74*600/100 {
			t.Errorf("%d probes hung, %d pages in a minute", hung, pages)
		}
	})
}

// While point reads are refused, or sweeps fail, there are no probes.
func TestNoProbesInVain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		refused, failing := false, false
		set := func(r, f bool) { mu.Lock(); refused, failing = r, f; mu.Unlock() }
		fault := func(of *bool, code int) func(int, *http.Request) *simulator.Fault {
			return func(int, *http.Request) *simulator.Fault {
				mu.Lock()
				defer mu.Unlock()
				if *of {
					return &simulator.Fault{ErrorCode: code}
				}
				return nil
			}
		}
		c := lively(simulator.NextRank)
		c.Fault, c.InfoFault = fault(&failing, 100001), fault(&refused, 60010)
		p := watch(t, c, Config{ProbeShare: 0.25, Interval: time.Second})
		var answers answers
		reader := startReader(t, p.poll, &answers)
		made := func(after time.Duration) int {
			time.Sleep(after)
			_, before := p.counts()
			time.Sleep(30 * time.Second)
			_, probes := p.counts()
			return probes - before
		}
		if n := made(20 * time.Second); n < 30 {
			t.Errorf("%d probes in 30 s", n)
		}
		set(true, false)
		reader.ask("a")
		if n := made(5 * time.Second); n > 0 {
			t.Errorf("%d probes while point reads are refused", n)
		}
		set(false, false)
		time.Sleep(refusedReads)
		reader.ask("a")
		if n := made(5 * time.Second); n < 30 {
			t.Errorf("%d probes in 30 s after point reads were accepted", n)
		}
		set(false, true)
		time.Sleep(10 * time.Second)
		before := p.world.Requests()
		time.Sleep(40 * time.Second)
		if n := p.world.Requests() - before; n > 25 {
			t.Errorf("%d requests in 40 s while the list fails", n)
		}
	})
}
