package state

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"roomwatch/diff"
)

// More worlds than every run tries: go test ./state -run RandomWorlds -args -worlds 2000.
var worlds = flag.Int("worlds", 16, "random worlds of TestStoreInRandomWorlds")

const (
	worldTicks = 4                // in a second
	worldAgain = 10 * worldTicks  // until reads that were refused have told what they can
	worldRest  = 240 * worldTicks // after the last change: all has to be told by then
)

// A worldRoom is a life as it really is.
type worldRoom struct {
	diff.Room
	listed bool // some page may have shown it
}

// A storeWorld lets a real Store watch a random world: sweeps of several pages, point reads
// that take their time, controls, probes, callbacks, all on their way at once and overtaking
// each other, while rooms come, go, hide and are created anew, reads are refused for a while, the list lags
// behind or is frozen, the service lies for two seconds, and the process ends, is killed or loses its file.
type storeWorld struct {
	*testing.T
	rng  *rand.Rand
	s    *Store
	dir  string
	file int
	tick int

	truth map[string]worldRoom
	old   []map[string]worldRoom // the truth at each tick
	life  int64                  // the newest CreateTime

	lag     int  // ticks that the list is behind the reads
	frozen  bool // the pages of a sweep show its begin
	forges  bool // callbacks may be forged; reads do not lie then: the two would be two witnesses
	refused int  // until then the service refuses reads
	lieEnds int
	lies    [2]bool // the list is cut; no read finds anything

	due    map[string]int      // tick at which a room is to be read
	asked  map[string]bool     // reads on their way
	coming map[int][]func(int) // what arrives at a tick; those of a process that has ended are dropped
	sweep  *worldSweep

	events []diff.Event // told so far
	epoch  string
	taken  uint64               // of them, those of this epoch
	told   map[string]diff.Room // their fold
	did    map[string]int       // what has happened, so that the test proves what it says
}

// A worldSweep is the sweep on its way.
type worldSweep struct {
	begin time.Time
	list  map[string]worldRoom // as it was at the begin
	seen  *diff.Seen
	shown map[string]bool
	left  int // pages
	cut   bool
}

func (w *storeWorld) now() time.Time { return second(float64(w.tick) / worldTicks) }

func (w *storeWorld) open() {
	s, err := Open(Config{
		Path: filepath.Join(w.dir, fmt.Sprintf("%d.db", w.file)), SDKAppID: testApp, Policy: w.policy(), Propose: w.propose,
	})
	if err != nil {
		w.Fatal(err)
	}
	s.db.NoSync = true
	w.s = s
	w.asked, w.coming, w.sweep = map[string]bool{}, map[int][]func(int){}, nil
	w.epoch, _, _ = s.Position()
}

func (w *storeWorld) policy() diff.Policy {
	p := diff.DefaultPolicy()
	p.Publish = diff.Types()
	p.Interval = 10 * time.Second // for so long a list may lag behind, and lies last less
	return p
}

func (w *storeWorld) propose(p diff.Proposal) {
	at := w.tick
	if !p.Due.IsZero() {
		at = max(at, int(p.Due.Sub(second(0)).Seconds()*worldTicks)+1)
	}
	if old, ok := w.due[p.RoomID]; !ok || at < old {
		w.due[p.RoomID] = at
	}
}

func (w *storeWorld) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatalf("tick %d: %v", w.tick, err)
	}
}

func (w *storeWorld) lying(what int) bool { return w.tick < w.lieEnds && w.lies[what] }

// later lets something arrive within so many ticks, unless the process has ended by then.
func (w *storeWorld) later(most int, f func(int)) {
	at := w.tick + 1 + w.rng.IntN(most)
	w.coming[at] = append(w.coming[at], f)
}

// change lets something happen to one of the rooms.
func (w *storeWorld) change() {
	id := fmt.Sprintf("r%d", w.rng.IntN(10))
	r, live := w.truth[id]
	switch n := w.rng.IntN(12); {
	case !live && n < 6:
		w.life++
		w.truth[id] = worldRoom{Room: diff.Room{RoomID: id, CreateTime: w.life, Hidden: w.rng.IntN(5) == 0}}
		w.callback(id, diff.Created)
	case live && n == 0:
		delete(w.truth, id)
		w.callback(id, diff.Destroyed)
	case live && n == 1:
		w.life++
		w.truth[id] = worldRoom{Room: diff.Room{RoomID: id, CreateTime: w.life}}
		w.callback(id, diff.Destroyed)
		w.callback(id, diff.Created)
	case live && n < 4 && (r.Hidden || w.tick > w.refused): // one that is hidden while nobody can read it ends by sweeps
		r.Hidden = !r.Hidden
		w.truth[id] = r
	case live:
		r.ViewCount += int64(w.rng.IntN(4))
		w.truth[id] = r
	}
}

// callback comes late, twice, again much later, or never.
func (w *storeWorld) callback(id string, kind diff.CallbackKind) {
	signed := w.life
	for range []int{0, 1, 1, 2}[w.rng.IntN(4)] {
		w.later([]int{2, 5 * worldTicks, 30 * worldTicks}[w.rng.IntN(3)], func(int) {
			w.did["callbacks"]++
			w.s.Tell(diff.Callback{RoomID: id, Kind: kind, At: w.now(), Signed: signed})
		})
	}
}

// list is what the list shows now.
func (w *storeWorld) list() map[string]worldRoom {
	if w.frozen && w.sweep != nil && w.sweep.list != nil {
		return w.sweep.list
	}
	return w.old[max(0, len(w.old)-1-w.lag)]
}

// crawl begins a sweep, reads a page of it, or ends it. Its last page shows all that the
// ones before have not: a sweep may skip rooms only while reads can tell more.
func (w *storeWorld) crawl() {
	if w.sweep == nil {
		w.sweep = &worldSweep{begin: w.now(), list: maps.Clone(w.list()), seen: diff.NewSeen(), shown: map[string]bool{}, left: 1 + w.rng.IntN(4)}
		return
	}
	sw := w.sweep
	p := diff.Page{At: w.now(), Begin: sw.begin, RequestID: fmt.Sprint("page-", w.tick)}
	sw.left--
	for _, id := range slices.Sorted(maps.Keys(w.list())) {
		r := w.list()[id]
		skip := sw.left > 0 && w.rng.IntN(2) == 0
		if w.lying(0) {
			sw.left, skip = 0, true // it seems to end here
			sw.cut = true
		}
		if r.Hidden || sw.shown[id] || skip {
			continue
		}
		sw.shown[id] = true
		if t, ok := w.truth[id]; ok && t.CreateTime == r.CreateTime {
			t.listed = true
			w.truth[id] = t
		}
		p.Rooms = append(p.Rooms, r.Room)
		sw.seen.Add(r.Key())
	}
	w.s.reads.saw(p)
	w.must(w.s.Commit(p))
	w.hear()
	if sw.left > 0 {
		return
	}
	w.sweep = nil
	complete := w.rng.IntN(8) > 0
	_, err := w.s.EndSweep(diff.Sweep{Begin: sw.begin, End: w.now(), Complete: complete, Pages: 1, Seen: sw.seen, RequestID: fmt.Sprint("sweep-", w.tick)})
	w.must(err)
	w.hear()
}

// probe reads a place of an earlier sweep: fresh, or a copy of any age.
func (w *storeWorld) probe() {
	p := diff.Page{Begin: w.now(), RequestID: fmt.Sprint("probe-", w.tick)}
	list := w.old[max(0, len(w.old)-1-w.lag-[]int{0, 4, 400}[w.rng.IntN(3)])]
	for _, id := range slices.Sorted(maps.Keys(list)) {
		if r := list[id]; !r.Hidden && w.rng.IntN(2) == 0 {
			p.Rooms = append(p.Rooms, r.Room)
		}
	}
	w.later(worldTicks, func(int) {
		p.At = w.now()
		w.must(w.s.CommitProbes(p))
		w.hear()
	})
}

// read reads a room: it looks at a moment on its way, or is refused, or fails.
func (w *storeWorld) read(id string) {
	if w.asked[id] {
		return
	}
	w.asked[id] = true
	w.s.reads.with(func(c *diff.Witnesses) { c.Ask(id) })
	r := diff.Read{RoomID: id, Sent: w.now(), RequestID: fmt.Sprint("read-", w.tick)}
	fails := w.rng.IntN(10) == 0
	way := w.rng.IntN(worldTicks)
	look := func(int) {
		t, live := w.truth[id]
		switch {
		case !live || w.lying(1):
			r.Outcome = diff.Gone
		case t.Hidden:
			r.Outcome, r.Room = diff.Hidden, t.Room
		default:
			r.Outcome, r.Room = diff.Live, t.Room
		}
		r.Room.Hidden = false
	}
	hear := func(int) {
		if r.At = w.now(); fails || w.tick < w.refused {
			r.Outcome, r.Room = diff.NoAnswer, diff.Room{}
		}
		delete(w.asked, id)
		w.must(w.s.CommitReads(r))
		w.did["reads "+r.Outcome.String()]++
		w.hear()
	}
	at := w.tick + w.rng.IntN(way+1)
	w.coming[at] = append(w.coming[at], look)
	w.coming[w.tick+way] = append(w.coming[w.tick+way], hear)
}

// restart ends the process, kills it, or loses its file, which is rebuilt from the stream.
func (w *storeWorld) restart() {
	what := []string{"stopped", "killed", "rebuilt"}[w.rng.IntN(3)]
	w.did[what]++
	if what != "stopped" {
		w.must(w.s.db.Close())
	} else {
		w.must(w.s.Close())
	}
	if what != "rebuilt" {
		w.open()
		return
	}
	last := map[string]diff.Event{}
	for _, e := range w.events {
		last[e.Room.RoomID] = e
	}
	stored := slices.SortedFunc(maps.Values(last), func(a, b diff.Event) int { return slices.Compare([]string{a.ID}, []string{b.ID}) })
	epoch, seq := w.epoch, w.taken
	w.file++
	w.open()
	w.must(w.s.Rebuild(lastEvent(epoch, max(1, seq)), second(-1), stream(stored, nil)))
	w.epoch, _, _ = w.s.Position()
	w.taken = 0
}

// hear takes what was told since, and holds it against the truth.
func (w *storeWorld) hear() {
	w.Helper()
	_, _, assigned := w.s.Position()
	for w.taken < assigned {
		events, err := w.s.Events(w.taken, 100)
		w.must(err)
		if len(events) == 0 {
			w.Fatalf("tick %d: no events after %d of %d", w.tick, w.taken, assigned)
		}
		for _, e := range events {
			w.taken++
			if e.Seq != w.taken {
				w.Fatalf("tick %d: event %d after %d", w.tick, e.Seq, w.taken-1)
			}
			w.events = append(w.events, e)
			w.tell(e)
		}
	}
}

func (w *storeWorld) tell(e diff.Event) {
	w.Helper()
	id, room := e.Room.RoomID, e.Room
	old, live := w.told[id]
	w.did[string(e.Type)+" by "+string(e.Evidence.By)]++
	fail := func(why string) {
		w.Helper()
		w.Fatalf("tick %d: %s\n%+v\ntold was %+v, %t\ntrue is %+v", w.tick, why, e, old, live, w.truth[id])
	}
	if live != (e.Type != diff.RoomCreated) {
		fail("created twice, or not at all")
	}
	if live && old.CreateTime != room.CreateTime {
		fail("another life")
	}
	switch e.Type {
	case diff.RoomCreated:
		if room.CreateTime > w.life || e.Version != 1 || room.Hidden {
			fail("no such life, or a hidden one")
		}
	case diff.RoomEnded:
		if t, ok := w.truth[id]; ok && t.CreateTime == room.CreateTime {
			fail("a false end")
		}
		delete(w.told, id)
		return
	case diff.RoomHidden, diff.RoomShown:
		if room.Hidden == old.Hidden || room.Hidden != (e.Type == diff.RoomHidden) {
			fail("hidden or shown twice")
		}
	case diff.ViewCountChanged:
		// Where nobody can ask, pages of two sweeps far enough apart decide: a list may lag behind for longer.
		fell := room.ViewCount < old.ViewCount && (e.Evidence.By != diff.ByList || w.tick > w.refused+worldAgain)
		if fell || room.ViewCount == old.ViewCount || e.Previous.ViewCount == nil || *e.Previous.ViewCount != old.ViewCount {
			fail("the count goes back, or follows none")
		}
	case diff.RoomUpdated:
		fail("nothing was changed")
	}
	w.told[id] = room
}

func (w *storeWorld) step(changes bool) {
	w.tick++
	if changes && w.rng.IntN(5) == 0 {
		w.change()
	}
	if changes && w.tick > w.lieEnds+15*worldTicks && w.rng.IntN(40) == 0 {
		w.lieEnds = w.tick + w.rng.IntN(2*worldTicks)
		w.lies = [2]bool{w.rng.IntN(2) == 0, w.rng.IntN(2) == 0 && !w.forges}
		w.did["lies"]++
	}
	if changes && w.tick > w.refused && w.rng.IntN(100) == 0 && w.knowsHidden() {
		w.refused = w.tick + w.rng.IntN(60*worldTicks)
		w.did["refusals"]++
	}
	if changes && w.forges && w.rng.IntN(10) == 0 {
		w.callback(fmt.Sprintf("r%d", w.rng.IntN(10)), diff.CallbackKind(w.rng.IntN(3)))
	}
	w.old = append(w.old, maps.Clone(w.truth))
	if changes && w.rng.IntN(150) == 0 {
		w.restart()
	}
	w.look()
	for len(w.coming[w.tick]) > 0 {
		f := w.coming[w.tick][0]
		w.coming[w.tick] = w.coming[w.tick][1:]
		f(0)
	}
	delete(w.coming, w.tick)
}

// knowsHidden reports whether all rooms that are hidden are known as such.
func (w *storeWorld) knowsHidden() bool {
	for id, t := range w.truth {
		if r, ok := w.told[id]; ok && t.Hidden && !r.Hidden {
			return false
		}
	}
	return true
}

// look lets the sweep, the probes and the reads go on.
func (w *storeWorld) look() {
	if w.rng.IntN(3) == 0 {
		w.crawl()
	}
	if w.rng.IntN(6) == 0 {
		w.probe()
	}
	if w.tick%(5*worldTicks) == 0 {
		w.s.askHidden(w.now())
	}
	if w.tick < w.refused {
		w.s.reads.with((*diff.Witnesses).Refuse)
		return
	}
	var control string
	w.s.reads.with(func(c *diff.Witnesses) {
		if id, ok := c.Control(w.now()); ok {
			control = id
		}
	})
	if control != "" {
		w.read(control)
	}
	for _, id := range slices.Sorted(maps.Keys(w.due)) {
		if w.due[id] <= w.tick && !w.asked[id] {
			delete(w.due, id)
			w.read(id)
		}
	}
}

// rest compares what was told with the truth: a hidden room that no page has ever
// shown is no news.
func (w *storeWorld) rest() {
	for id, t := range w.truth {
		r, ok := w.told[id]
		switch {
		case !ok && t.Hidden:
			w.did["never shown"]++
		case !ok || r.CreateTime != t.CreateTime || r.Hidden != t.Hidden:
			w.Errorf("told of %s: %+v, it is %+v", id, r, t.Room)
		case r.ViewCount != t.ViewCount:
			w.Errorf("told of %s are %d views, it has %d", id, r.ViewCount, t.ViewCount)
		}
	}
	for id, r := range w.told {
		if _, live := w.truth[id]; !live {
			w.Errorf("%+v has ended, and that was not told", r)
		}
	}
	if err := w.s.Check(); err != nil {
		w.Error(err)
	}
}

// Whatever overtakes what, nothing false is told, nothing twice, and at rest what was told is the truth.
func TestStoreInRandomWorlds(t *testing.T) {
	did := map[string]int{}
	for seed := range *worlds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(uint64(seed), 0))
			w := &storeWorld{
				T: t, rng: rng, dir: t.TempDir(), truth: map[string]worldRoom{}, due: map[string]int{}, told: map[string]diff.Room{}, did: did,
				lag: []int{0, 0, 2, 12}[rng.IntN(4)], frozen: rng.IntN(2) == 0, forges: rng.IntN(2) == 0,
			}
			w.old = append(w.old, map[string]worldRoom{})
			w.open()
			for range 100 + rng.IntN(900) {
				w.step(true)
			}
			for range worldRest {
				w.step(false)
			}
			w.rest()
			w.must(w.s.Close())
		})
	}
	t.Logf("%v", did)
	for _, what := range []string{
		"room.created by list", "room.created by info", "room.ended by info", "room.ended by sweeps", "room.hidden by info", "room.shown by info",
		"callbacks", "lies", "refusals", "stopped", "killed", "rebuilt", "never shown",
	} {
		if did[what] == 0 {
			t.Errorf("no world has seen %q: the test proves nothing of it: %v", what, did)
		}
	}
}
