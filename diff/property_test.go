package diff

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A worldTest lets a random world be watched through random pages and knows
// what may be said of it.
type worldTest struct {
	*rapid.T
	w     *watcher
	now   time.Time
	truth map[string]Room
	told  map[string]*toldRoom
	over  map[string]toldEnd // the newest end told of each RoomID
	old   []map[string]Room  // the truth at the begin of each sweep
	begin time.Time          // of the sweep that is going on
}

// A toldEnd is an end that was told, and when.
type toldEnd struct {
	created int64
	at      time.Time
}

// A toldRoom is what was said of a life, and what was shown of it.
type toldRoom struct {
	life    Key
	version uint64
	views   int64
	sight   time.Time // the last one
	equal   time.Time // the last sight that showed views
	missed  uint64    // complete sweeps in a row that did not show it
	gone    time.Time // when the first of them began
}

func TestWatchRandomWorlds(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p := DefaultPolicy()
		p.Publish = Types()
		p.MinChange = rapid.Int64Range(0, 4).Draw(rt, "MinChange")
		p.MinPercent = rapid.SampledFrom([]float64{0, 0, 30}).Draw(rt, "MinPercent")
		p.MinInterval = time.Duration(rapid.SampledFrom([]int{0, 0, 5, 25}).Draw(rt, "MinInterval")) * time.Second
		p.Interval = time.Duration(rapid.SampledFrom([]int{0, 1, 10, 40}).Draw(rt, "Interval")) * time.Second
		p.AbsentSweeps = rapid.IntRange(1, 4).Draw(rt, "AbsentSweeps")
		p.MassEndSweeps = rapid.IntRange(0, 6).Draw(rt, "MassEndSweeps")
		w := worldTest{T: rt, w: newWatcher(p), now: second(0), truth: map[string]Room{}, told: map[string]*toldRoom{}, over: map[string]toldEnd{}}
		for range rapid.IntRange(1, 25).Draw(rt, "sweeps") {
			w.sweep()
		}
		w.rest()
	})
}

// change lets something happen to one of a few rooms.
func (w *worldTest) change() {
	id := fmt.Sprintf("r%d", rapid.IntRange(0, 25).Draw(w.T, "room"))
	r, live := w.truth[id]
	switch rapid.IntRange(0, 5).Draw(w.T, "what") {
	case 0:
		delete(w.truth, id)
	case 1: // created, or created again
		w.truth[id] = Room{RoomID: id, CreateTime: w.now.Unix(), RoomName: "x"}
	case 2:
		if live {
			r.RoomName += "x"
			w.truth[id] = r
		}
	default:
		if live {
			r.ViewCount = max(0, r.ViewCount+rapid.Int64Range(-1, 5).Draw(w.T, "views"))
			w.truth[id] = r
		}
	}
	w.now = w.now.Add(time.Second)
}

// sweep reads the world in pages while it changes. Rooms can slide out of it,
// and into it twice; a page can be an old copy; the sweep can break off.
func (w *worldTest) sweep() {
	begin := w.now
	w.begin, w.w.begin = begin, begin
	w.old = append(w.old, maps.Clone(w.truth))
	copied := rapid.SampledFrom([]int{0, 0, 1, 2}).Draw(w.T, "copied")
	seen := map[Key]bool{}
	pages := rapid.IntRange(1, 3).Draw(w.T, "pages")
	slide := rapid.SampledFrom([]int{0, 0, 1, 10}).Draw(w.T, "slide")
	for range pages {
		for range rapid.IntRange(0, 8).Draw(w.T, "changes") {
			w.change()
		}
		if rapid.IntRange(0, 3).Draw(w.T, "witness") == 0 {
			w.witness()
		}
		list := w.truth
		if copied > 0 {
			list = w.old[max(0, len(w.old)-copied)]
		}
		var page []Room
		for _, id := range slices.Sorted(maps.Keys(list)) {
			r := list[id]
			switch n := rapid.IntRange(0, 19).Draw(w.T, "place"); {
			case seen[r.Key()] && n > 0, n >= 20-slide:
				continue
			}
			page = append(page, r)
			seen[r.Key()] = true
		}
		w.show(page)
	}
	complete := rapid.IntRange(0, 3).Draw(w.T, "complete") > 0
	w.end(begin, seen, complete)
	w.now = w.now.Add(time.Second)
}

// witness lets somebody beside the sweeps tell the end of a room that is gone.
func (w *worldTest) witness() {
	for _, id := range slices.Sorted(maps.Keys(w.w.rooms)) {
		if _, live := w.truth[id]; live {
			continue
		}
		w.w.witness(w.now, id)
		for _, e := range w.w.take() {
			w.hear(e, Key{})
		}
		return
	}
}

// isOld reports whether a row shows nothing but the past.
func (w *worldTest) isOld(r Room) bool {
	k, o := w.told[r.RoomID], w.over[r.RoomID]
	switch {
	case k != nil && k.life == r.Key():
		return false
	case k != nil && k.life.CreateTime > r.CreateTime || o.created > r.CreateTime:
		return true
	}
	return o.created == r.CreateTime && !w.begin.After(o.at)
}

func (w *worldTest) show(page []Room) {
	var old []bool
	for _, r := range page {
		old = append(old, w.isOld(r))
	}
	w.w.page(w.now, page...)
	events := w.w.take()
	for i, r := range page {
		if old[i] {
			continue
		}
		for len(events) > 0 && events[0].Room.RoomID == r.RoomID {
			w.hear(events[0], r.Key())
			events = events[1:]
		}
		k, ok := w.told[r.RoomID]
		if !ok || k.life != r.Key() {
			w.Fatalf("%v was shown and not told of", r)
		}
		k.sight, k.missed = w.now, 0
		if k.views == r.ViewCount {
			k.equal = w.now
		}
	}
	if len(events) > 0 {
		w.Fatalf("events without a room on the page: %v", events)
	}
}

func (w *worldTest) end(begin time.Time, seen map[Key]bool, complete bool) {
	if complete {
		for _, k := range w.told {
			if k.missed++; k.missed == 1 {
				k.gone = begin
			}
			if seen[k.life] {
				k.missed = 0
			}
		}
	}
	v := w.w.end(begin, w.now, complete)
	events := w.w.take()
	if !complete && len(events) > 0 {
		w.Fatalf("a sweep that broke off ends %v", events)
	}
	for _, e := range events {
		k := w.told[e.Room.RoomID]
		if e.Type != RoomEnded || k == nil || k.life != e.Room.Key() {
			w.Fatalf("the end of a sweep tells %+v", e)
		}
		if span := begin.Sub(k.gone); span < v.Span || span < w.w.policy.Interval || span < 3*time.Second {
			w.Fatalf("%v ended after sweeps that began %s apart, with %+v", k.life, span, v)
		}
		if v.Doubted || k.missed < v.Need || v.Need < uint64(w.w.policy.AbsentSweeps) || seen[k.life] {
			w.Fatalf("%v ended after %d misses in a row, with %+v", k.life, k.missed, v)
		}
		w.hear(e, Key{})
	}
	for id, k := range w.told {
		if complete && !v.Doubted && k.missed >= v.Need && begin.Sub(k.gone) >= v.Span {
			w.Fatalf("%s was missed by %d sweeps in a row over %s, %d over %s are needed, and it has not ended", id, k.missed, begin.Sub(k.gone), v.Need, v.Span)
		}
	}
}

// hear takes an event into what was told. shown is the life on the page; none at
// the end of a sweep.
func (w *worldTest) hear(e Event, shown Key) {
	id := e.Room.RoomID
	k := w.told[id]
	if e.Type == RoomCreated {
		if k != nil {
			w.Fatalf("%+v, but %v has not ended", e, k.life)
		}
		k = &toldRoom{life: e.Room.Key(), views: e.Room.ViewCount}
		w.told[id] = k
	}
	if k == nil || k.life != e.Room.Key() || e.Version != k.version+1 {
		w.Fatalf("%+v does not follow %+v", e, k)
	}
	k.version = e.Version
	if !e.Time.Equal(w.now) || e.Since.After(e.Time) {
		w.Fatalf("%+v at %v", e, w.now)
	}
	switch e.Type {
	case ViewCountChanged:
		if e.Previous.ViewCount == nil || *e.Previous.ViewCount != k.views || e.Since.After(k.equal) {
			w.Fatalf("%+v, previous %v, since %v; told was %d, last seen so at %v", e, e.Previous.ViewCount, e.Since, k.views, k.equal)
		}
	case RoomUpdated:
		if v := e.Previous.ViewCount; v == nil && k.views != e.Room.ViewCount || v != nil && (*v != k.views || k.views == e.Room.ViewCount) {
			w.Fatalf("%+v, previous %v; told was %d", e, v, k.views)
		}
		if e.Since.After(k.sight) {
			w.Fatalf("%+v since %v, last seen at %v", e, e.Since, k.sight)
		}
	case RoomEnded:
		if e.Since.After(k.sight) {
			w.Fatalf("%+v since %v, last seen at %v", e, e.Since, k.sight)
		}
		if shown != (Key{}) && shown.CreateTime <= k.life.CreateTime {
			w.Fatalf("%+v, but %v is no newer life", e, shown)
		}
		w.over[id] = toldEnd{e.Room.CreateTime, w.now}
		delete(w.told, id)
		return
	case RoomCreated:
	}
	k.views, k.equal = e.Room.ViewCount, w.now
}

// rest looks at a world in which nothing happens any more until everything must
// have been said, and compares.
func (w *worldTest) rest() {
	for range 30 {
		w.now = w.now.Add(time.Minute)
		begin := w.now
		w.begin, w.w.begin = begin, begin
		seen := map[Key]bool{}
		var page []Room
		for _, id := range slices.Sorted(maps.Keys(w.truth)) {
			page = append(page, w.truth[id])
			seen[w.truth[id].Key()] = true
		}
		w.show(page)
		w.end(begin, seen, true)
	}
	if len(w.told) != len(w.truth) {
		w.Fatalf("%d rooms told, %d live", len(w.told), len(w.truth))
	}
	p := w.w.policy
	for id, r := range w.truth {
		k := w.told[id]
		if k == nil || k.life != r.Key() {
			w.Fatalf("told of %s: %+v, it is %v", id, k, r)
		}
		d := max(k.views-r.ViewCount, r.ViewCount-k.views)
		if d != 0 && d >= p.MinChange && float64(d)*100 >= p.MinPercent*float64(k.views) {
			w.Fatalf("%s has %d views, told are %d: held back for ever", id, r.ViewCount, k.views)
		}
	}
}

// FuzzSee checks what must hold for any two looks at one room: the events lead
// from the old life to the new one, and a stale look changes nothing.
func FuzzSee(f *testing.F) {
	f.Add("a@1=5/x", "a@1=6/y", int64(5), uint64(3), uint64(0))
	f.Add("a@1=5/x", "a@9=0/x", int64(3), uint64(1), uint64(2))
	f.Add("a@9=5/x", "a@1=9/x", int64(5), uint64(7), uint64(1))
	f.Fuzz(func(t *testing.T, old, now string, published int64, version, first uint64) {
		parse := func(s string) (r Room, ok bool) {
			f, name, _ := strings.Cut(s, "/")
			n, err := fmt.Sscanf(f, "a@%d=%d", &r.CreateTime, &r.ViewCount)
			r.RoomID, r.RoomName = "a", name
			return r, n == 2 && err == nil && r.ViewCount >= 0 && r.ViewCount < 1<<53
		}
		before, ok1 := parse(old)
		after, ok2 := parse(now)
		if !ok1 || !ok2 || version == 0 || version > 1<<60 || first > 5 || published < 0 || published > 1<<53 {
			t.Skip()
		}
		p := DefaultPolicy()
		p.Publish = Types()
		k := Known{Room: before, Version: version, Published: published, SeenAt: second(1)}
		if first > 0 {
			k.Missing = Missing{First: first, LastSeen: second(1)}
		}
		s := p.See(&k, RecentEnd{}, after, Look{At: second(9), Sweep: 4, LastComplete: second(5)}, 5)
		if after.CreateTime < before.CreateTime {
			if !s.Stale || s.Changed || len(s.Events) > 0 {
				t.Fatalf("an old copy: %+v", s)
			}
			return
		}
		if s.Known.Room.Key() != after.Key() || s.Known.Published != after.ViewCount || s.Known.Missing != (Missing{}) {
			t.Fatalf("See(%v, %v) believes %+v", before, after, s.Known)
		}
		want := version
		for _, e := range s.Events {
			if want++; e.Type == RoomCreated {
				want = 1
			}
			if e.Version != want || e.Since.After(e.Time) {
				t.Fatalf("event %+v, want version %d", e, want)
			}
		}
		if s.Known.Version != want {
			t.Fatalf("known version %d after events up to %d", s.Known.Version, want)
		}
		if again := p.See(&s.Known, RecentEnd{}, after, Look{At: second(10)}, 5); again.Changed || len(again.Events) > 0 {
			t.Fatalf("seen again: %+v", again)
		}
	})
}
