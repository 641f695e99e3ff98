package state

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"go.etcd.io/bbolt"
	"pgregory.net/rapid"

	"roomwatch/diff"
)

var errDisk = errors.New("disk")

// A model is what a Store has to be, with maps and slices in the place of the file.
type model struct {
	policy diff.Policy
	modelState
	stored   uint64
	sweep    uint64
	complete time.Time // when the newest complete sweep began
	disturbs bool      // a rebuild has been in the sweep that is going on
	reading  modelReading
}

// modelState is the part of it that a transaction changes.
type modelState struct {
	epoch   string
	rooms   map[string]diff.Known
	ends    []foldedEnd // in the order in which they were told
	history diff.History
	first   bool // no sweep was complete yet
	watched time.Time
	clock   time.Time
	events  []diff.Event // all that were given a number in this epoch by this state
	base    uint64       // the number before the first of them
	trimmed uint64       // the outbox begins after this number
	last    *diff.Event  // the content of the event with this number
	wrote   uint64       // the sweep that wrote last
	gapTo   time.Time    // the end of the newest gap that has ended
	gaps    []diff.Gap   // that have ended
}

func (m *model) clone() modelState {
	c := m.modelState
	c.rooms, c.ends, c.events, c.gaps = maps.Clone(c.rooms), slices.Clone(c.ends), slices.Clone(c.events), slices.Clone(c.gaps)
	return c
}

func (m *model) assigned() uint64 { return m.base + uint64(len(m.events)) }

func (m *model) at(t time.Time) time.Time {
	if t.After(m.clock) {
		m.clock = t
	}
	return m.clock
}

func (m *model) append(events []diff.Event, by diff.Evidence, now time.Time) {
	for _, e := range events {
		e.Evidence, e.Gap = by, m.inGap(e, now)
		e.Seq = m.assigned() + 1
		e.ID = fmt.Sprintf("%s-%016d", m.epoch, e.Seq)
		m.events = append(m.events, e)
	}
}

func (m *model) wroteSomething() {
	m.wrote = m.sweep
	m.trim()
}

func (m *model) trim() {
	if m.stored > m.trimmed {
		m.last = &m.events[m.stored-m.base-1]
	}
	m.trimmed = m.stored
}

// renumber begins an epoch with the events that are not stored.
func (m *model) renumber(epoch string) {
	m.trim()
	rest := m.events[m.stored-m.base:]
	m.events, m.base, m.trimmed, m.stored, m.epoch = nil, 0, 0, 0, epoch
	for _, e := range rest {
		e.Seq = m.assigned() + 1
		e.ID = eventID(epoch, e.Seq)
		m.events = append(m.events, e)
	}
}

func (m *model) commit(pages []diff.Page) {
	before, changed := m.clone(), false
	for _, p := range pages {
		m.read(p)
		asked := p.Asked
		if asked.IsZero() {
			asked = p.Begin
		}
		if m.first && m.watched.IsZero() && !asked.IsZero() {
			m.watched, changed = asked, true
		}
		l := diff.Look{At: m.at(p.At), Wall: p.At, Sweep: m.sweep, Begin: p.Begin, Baseline: m.first, LastComplete: m.history.Begin, WatchedSince: m.watched}
		for _, r := range p.Rooms {
			var known *diff.Known
			if k, ok := m.rooms[r.RoomID]; ok {
				known = &k
			}
			s := m.policy.See(known, m.end(r.RoomID), r, l, m.history.Complete)
			if s.Changed {
				changed = true
				m.rooms[r.RoomID] = s.Known
			}
			m.history.Misses += float64(s.Missed)
			m.append(s.Events, diff.Evidence{By: diff.ByList, Requests: diff.Requested(p.RequestID)}, p.At)
		}
	}
	if !changed {
		m.modelState = before // the clock too
		return
	}
	m.wroteSomething()
}

// end returns the newest end of a room.
func (m *model) end(id string) diff.RecentEnd {
	for _, e := range m.ends {
		if e.id == id {
			return e.end
		}
	}
	return diff.RecentEnd{}
}

// over remembers an end.
func (m *model) over(id string, end diff.RecentEnd) {
	m.ends = slices.DeleteFunc(m.ends, func(e foldedEnd) bool { return e.id == id })
	m.ends = append(m.ends, foldedEnd{id, end})
	for n := 0; n < 4 && m.ends[0].end.Expired(end.Told); n++ {
		m.ends = slices.Delete(m.ends, 0, 1)
	}
}

func (m *model) endSweep(sw diff.Sweep) (again bool) {
	defer func() { m.sweep, m.disturbs = m.sweep+1, false }()
	if !sw.Complete || m.disturbs {
		return false
	}
	t := diff.Tally{Known: len(m.rooms)}
	var unseen []string
	for _, id := range slices.Sorted(maps.Keys(m.rooms)) {
		if !sw.Seen.Has(m.rooms[id].Room.Key()) {
			unseen = append(unseen, id)
		}
	}
	t.Unseen = len(unseen)
	if !m.complete.IsZero() {
		sw.Apart = sw.Begin.Sub(m.complete)
	}
	m.complete = sw.Begin
	before := m.history
	v := m.policy.Judge(before, sw, t)
	at := m.at(sw.End)
	missing := 0
	for _, id := range unseen {
		k := m.rooms[id]
		if k.Missing.First == 0 {
			k.Missing = v.Mark(k, before)
		}
		if v.Ends(k.Missing) {
			end := v.RecentEnd(k, at, m.sweep)
			m.over(id, end)
			m.append(m.policy.End(k, at, k.Missing.LastSeen, m.sweep), diff.Evidence{By: diff.BySweeps, Requests: diff.Requested(sw.RequestID), Missed: end.Missed}, sw.End)
			delete(m.rooms, id)
			continue
		}
		missing++
		m.rooms[id] = k
	}
	m.endGap(sw)
	m.history = v.History
	if m.history.Begin.After(m.clock) {
		m.history.Begin = m.clock
	}
	m.first = false
	m.wroteSomething()
	return v.Again(missing)
}

func (m *model) rebuild(epoch string, watched time.Time, events []diff.Event) {
	m.events, m.base, m.trimmed, m.stored, m.epoch = nil, 0, 0, 0, epoch
	m.last = &diff.Event{}
	m.rooms, m.ends = map[string]diff.Known{}, nil
	var ends []foldedEnd
	var last diff.RecentEnd
	for _, e := range events {
		m.at(e.Time)
		if e.Type == diff.RoomEnded {
			last = diff.RecallEnd(e, m.sweep)
			ends = append(ends, foldedEnd{e.Room.RoomID, last})
		}
		if k, live := diff.Recall(e); live {
			m.rooms[e.Room.RoomID] = k
		} else {
			delete(m.rooms, e.Room.RoomID)
		}
	}
	for _, e := range ends {
		if !e.end.Expired(last.Told) {
			m.over(e.id, e.end)
		}
	}
	m.gaps = nil
	m.history = diff.History{Misses: m.history.Misses, Looks: m.history.Looks}
	m.complete = time.Time{}
	m.watched = watched
	m.first, m.wrote, m.disturbs = true, m.sweep, true
}

// A modelTest does the same to a Store and to a model of it.
type modelTest struct {
	*rapid.T
	s   *Store
	m   model
	now time.Time

	seen  *diff.Seen // what was committed in the sweep that is going on
	begin time.Time  // when it began

	broken bool // a commit of this sweep had an error, so it will not be called complete
}

// Whatever is done in whatever order, and killed and lost and rebuilt meanwhile,
// the file is what the rules say.
func TestModel(t *testing.T) {
	dir := t.TempDir()
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		path := filepath.Join(dir, fmt.Sprintf("%d.db", n))
		p := diff.DefaultPolicy()
		p.Publish = rapid.SampledFrom([][]diff.Type{diff.Types(), p.Publish, {diff.RoomEnded}}).Draw(rt, "Publish")
		p.SilentBaseline = rapid.Bool().Draw(rt, "SilentBaseline")
		p.MinChange = rapid.Int64Range(1, 3).Draw(rt, "MinChange")
		p.MinInterval = time.Duration(rapid.IntRange(0, 20).Draw(rt, "MinInterval")) * time.Second
		p.Interval = time.Duration(rapid.SampledFrom([]int{0, 3, 10}).Draw(rt, "Interval")) * time.Second
		p.MassEndSweeps = rapid.IntRange(0, 3).Draw(rt, "MassEndSweeps")
		mt := &modelTest{T: rt, now: second(0), begin: second(0), seen: diff.NewSeen(), m: model{policy: p}}
		mt.open(path)
		epoch, _, _ := mt.s.Position()
		mt.m.modelState = modelState{epoch: epoch, rooms: map[string]diff.Known{}, first: true}
		mt.m.sweep = 1
		defer func() {
			if mt.s.db.Path() != "" {
				_ = mt.s.Close()
			}
			_ = os.Remove(path)
		}()
		rt.Repeat(map[string]func(*rapid.T){
			"":         mt.check,
			"Commit":   mt.commit,
			"Commit2":  mt.commit, // twice as often
			"EndSweep": mt.endSweep,
			"Stored":   mt.stored,
			"Reopen":   mt.reopen,
			"Kill":     mt.kill,
			"Rebuild":  mt.rebuild,
			"Renumber": mt.renumber,
		})
	})
}

func (t *modelTest) open(path string) {
	s, err := Open(Config{Path: path, SDKAppID: testApp, Policy: t.m.policy})
	if err != nil {
		t.Fatal(err)
	}
	s.db.NoSync = true
	t.s = s
}

// tick moves the wall clock, now and then back.
func (t *modelTest) tick() time.Time {
	seconds := rapid.SampledFrom([]int{-3, -1, 0, 1, 1, 2, 3, 5, 7, 9, 11, 13, 17, 19, 24 * 3600}).Draw(t.T, "seconds")
	t.now = t.now.Add(time.Duration(seconds) * time.Second)
	return t.now
}

func (t *modelTest) commit(rt *rapid.T) {
	t.T = rt
	var pages []diff.Page
	for range rapid.IntRange(1, 3).Draw(rt, "pages") {
		p := diff.Page{At: t.tick(), Begin: t.begin, RequestID: rapid.SampledFrom([]string{"", "Id-1"}).Draw(rt, "request")}
		if asked := rapid.Int64Range(0, 8).Draw(rt, "asked"); asked > 3 {
			p.Asked = time.Unix(asked, 0)
		}
		for range rapid.IntRange(0, 12).Draw(rt, "rooms") {
			r := diff.Room{
				RoomID:     fmt.Sprintf("r%d", rapid.IntRange(0, 24).Draw(rt, "room")),
				CreateTime: rapid.SampledFrom([]int64{5, 5, 5, 6, 7}).Draw(rt, "created"),
				ViewCount:  rapid.Int64Range(0, 6).Draw(rt, "views"),
				RoomName:   rapid.SampledFrom([]string{"", "", "x"}).Draw(rt, "name"),
				Category:   rapid.SampledFrom([][]int64{nil, nil, {1}}).Draw(rt, "category"),
			}
			p.Rooms = append(p.Rooms, r)
			t.seen.Add(r.Key())
		}
		pages = append(pages, p)
	}
	before := t.m.clone()
	t.m.commit(pages)
	lost, stored := t.fail("commit")
	if err := t.s.Commit(pages...); err != nil && !errors.Is(err, errDisk) || err != nil && !lost && !stored {
		rt.Fatalf("Commit: %v", err)
	}
	t.s.commit = (*bbolt.Tx).Commit
	if lost {
		t.m.modelState = before
	}
	t.broken = t.broken || lost || stored
}

// fail lets the next commit fail, now and then, before or after it was stored.
func (t *modelTest) fail(what string) (lost, stored bool) {
	switch rapid.IntRange(0, 9).Draw(t.T, "fault of "+what) {
	case 0:
		t.s.commit = func(*bbolt.Tx) error { return errDisk }
		return true, false
	case 1:
		t.s.commit = func(tx *bbolt.Tx) error { return errors.Join(errDisk, tx.Commit()) }
		return false, true
	}
	return false, false
}

func (t *modelTest) endSweep(rt *rapid.T) {
	t.T = rt
	if rapid.IntRange(0, 5).Draw(rt, "all") == 0 { // it shows everything that is known
		p := diff.Page{At: t.tick(), Begin: t.begin}
		for _, id := range slices.Sorted(maps.Keys(t.m.rooms)) {
			p.Rooms = append(p.Rooms, t.m.rooms[id].Room)
			t.seen.Add(t.m.rooms[id].Room.Key())
		}
		t.m.commit([]diff.Page{p})
		if err := t.s.Commit(p); err != nil {
			rt.Fatal(err)
		}
	}
	sw := diff.Sweep{
		RequestID: "Id-2",
		Begin:     t.begin, End: t.tick(), Complete: !t.broken && rapid.IntRange(0, 4).Draw(rt, "complete") > 0,
		Pages: rapid.IntRange(0, 2).Draw(rt, "pages"), Seen: t.seen,
	}
	before := t.m.clone()
	want := t.m.endSweep(sw)
	lost, stored := t.fail("end")
	got, err := t.s.EndSweep(sw)
	t.s.commit = (*bbolt.Tx).Commit
	switch {
	case err != nil && !errors.Is(err, errDisk) || err != nil && !lost && !stored:
		rt.Fatalf("EndSweep: %v", err)
	case err == nil && got != want:
		rt.Fatalf("EndSweep = %t, want %t", got, want)
	}
	if lost {
		t.m.modelState = before
	}
	t.seen, t.begin, t.broken = diff.NewSeen(), t.tick(), false
}

func (t *modelTest) stored(rt *rapid.T) {
	_, _, assigned := t.s.Position()
	seq := rapid.Uint64Range(t.m.stored, assigned).Draw(rt, "seq")
	t.m.stored = seq
	if err := t.s.Stored(seq); err != nil {
		rt.Fatal(err)
	}
}

func (t *modelTest) reopen(*rapid.T) {
	path := t.s.path
	if t.m.stored > t.m.trimmed {
		t.m.wroteSomething()
	}
	if err := t.s.Close(); err != nil {
		t.Fatal(err)
	}
	t.started(path)
}

func (t *modelTest) kill(*rapid.T) {
	path := t.s.path
	if err := t.s.db.Close(); err != nil {
		t.Fatal(err)
	}
	t.started(path)
}

// started is what a start makes of the model: what was only in memory is gone.
func (t *modelTest) started(path string) {
	t.m.stored, t.m.sweep, t.m.disturbs, t.m.reading = t.m.trimmed, t.m.wrote+1, false, modelReading{}
	t.seen, t.begin, t.broken, t.m.complete = diff.NewSeen(), t.tick(), false, t.m.history.Begin
	t.open(path)
}

// rebuild is from a stream that has all events up to one, the last of each room.
func (t *modelTest) rebuild(rt *rapid.T) {
	last := map[string]diff.Event{}
	upTo := rapid.IntRange(0, len(t.m.events)).Draw(rt, "events in the stream")
	for _, e := range t.m.events[:upTo] {
		last[e.Room.RoomID] = e
	}
	events := slices.SortedFunc(maps.Values(last), func(a, b diff.Event) int { return int(a.Seq) - int(b.Seq) })
	epoch := fmt.Sprintf("EPOCH%07d", rapid.IntRange(0, 9).Draw(rt, "epoch"))
	seq := rapid.Uint64Range(1, 1000).Draw(rt, "seq")
	watched := time.Unix(rapid.Int64Range(4, 8).Draw(rt, "watched since"), 0)
	if err := t.s.Rebuild(lastEvent(epoch, seq), watched, stream(events, nil)); err != nil {
		rt.Fatal(err)
	}
	began, _, _ := t.s.Position()
	if follows := eventID(epoch, seq); t.s.Follows() != follows || began == epoch || began == t.m.epoch {
		rt.Fatalf("epoch %s follows %q, want a new one that follows %s", began, t.s.Follows(), follows)
	}
	t.m.rebuild(began, watched, events)
}

// renumber is after the stream has lost what it had acknowledged.
func (t *modelTest) renumber(rt *rapid.T) {
	t.T = rt
	before, stored := t.m.epoch, t.m.stored
	follows := t.s.Follows()
	if stored > 0 {
		follows = eventID(before, stored)
	}
	lost, kept := t.fail("renumber")
	err := t.s.Renumber()
	t.s.commit = (*bbolt.Tx).Commit
	if (err != nil) != (lost || kept) || err != nil && !errors.Is(err, errDisk) {
		rt.Fatalf("Renumber: %v", err)
	}
	if lost {
		t.m.stored = t.m.trimmed
		return
	}
	began, _, _ := t.s.Position()
	if began == before || t.s.Follows() != follows {
		rt.Fatalf("epoch %s follows %q, want a new one that follows %q", began, t.s.Follows(), follows)
	}
	t.m.renumber(began)
}

// check compares the Store with the model.
func (t *modelTest) check(rt *rapid.T) {
	m := &t.m
	if err := t.s.Check(); err != nil {
		rt.Fatalf("Check: %v", err)
	}
	if epoch, stored, assigned := t.s.Position(); epoch != m.epoch || stored != m.stored || assigned != m.assigned() {
		rt.Fatalf("position %s %d of %d, want %s %d of %d", epoch, stored, assigned, m.epoch, m.stored, m.assigned())
	}
	missing := 0
	for _, k := range m.rooms {
		if k.Missing.First > 0 {
			missing++
		}
	}
	st := t.s.Status()
	if int(st.Rooms) != len(m.rooms) || int(st.Missing) != missing || st.Waiting != m.assigned()-m.stored ||
		st.Doubted != m.history.Doubted || st.Guarded != m.policy.Guards(m.history) || st.MissRate != m.history.MissRate() || !st.LastComplete.Equal(m.history.End) {
		rt.Fatalf("status %+v, want %d rooms, %d missing, history %+v", st, len(m.rooms), missing, m.history)
	}
	t.checkGaps(rt)
	last, known, err := t.s.Event(m.trimmed)
	if err != nil || known != (m.last != nil) {
		rt.Fatalf("Event(%d) = %+v, %t, %v, want %+v", m.trimmed, last, known, err, m.last)
	}
	if known {
		want := *m.last
		want.ID, want.Seq = "", 0
		if !same(clean(last), clean(want)) {
			rt.Fatalf("last event\n%+v, want\n%+v", last, want)
		}
	}
	want := m.events[m.trimmed-m.base:]
	for _, after := range []uint64{m.trimmed, m.stored} {
		want := want[after-m.trimmed:]
		for len(want) > 0 {
			got, err := t.s.Events(after, 7)
			if err != nil || len(got) == 0 {
				rt.Fatalf("Events(%d) = %d events, %v, want %d", after, len(got), err, len(want))
			}
			for i := range got {
				if !same(clean(got[i]), clean(want[i])) {
					rt.Fatalf("event\n%+v, want\n%+v", got[i], want[i])
				}
			}
			want, after = want[len(got):], after+uint64(len(got))
		}
		if got, err := t.s.Events(after, 7); err != nil || len(got) > 0 {
			rt.Fatalf("Events(%d) = %v, %v, want none", after, got, err)
		}
	}
	t.checkRooms(rt)
}

// clean makes an empty category before and none the same.
func clean(e diff.Event) diff.Event {
	if c := e.Previous.Category; c != nil && len(*c) == 0 {
		e.Previous.Category = &[]int64{}
	}
	return e
}

func (t *modelTest) checkRooms(rt *rapid.T) {
	err := t.s.db.View(func(tx *bbolt.Tx) error {
		c, err := getCounters(tx)
		if err != nil {
			return err
		}
		index := newRoomIndex()
		if err := index.load(tx); err != nil {
			return err
		}
		if t.s.indexed && len(t.s.index.entries) != len(index.entries) {
			return fmt.Errorf("index of %d rooms, want %d", len(t.s.index.entries), len(index.entries))
		}
		w := t.s.newWriter(tx, &c)
		w.rooms.index = index
		for id, want := range t.m.rooms {
			key, record := w.rooms.find(id)
			got, err := w.room(id, key, record)
			if err != nil {
				return err
			}
			if got == nil || !same(*got, want) {
				return fmt.Errorf("room %+v, want %+v", got, want)
			}
			if t.s.indexed && t.s.index.settled(want.Room, 0) && (want.Published != want.Room.ViewCount || want.Missing.First > 0) {
				return fmt.Errorf("room %+v is settled", want)
			}
		}
		var ends []foldedEnd
		err = w.ends.order.ForEach(func(_, id []byte) error {
			end, err := w.ends.find(string(id))
			ends = append(ends, foldedEnd{string(id), end})
			return err
		})
		if err != nil || !slices.Equal(ends, t.m.ends) {
			return errors.Join(err, fmt.Errorf("ends %+v, want %+v", ends, t.m.ends))
		}
		if !reflect.DeepEqual(c.history(), t.m.history) {
			return fmt.Errorf("history %+v, want %+v", c.history(), t.m.history)
		}
		return nil
	})
	if err != nil {
		rt.Fatal(err)
	}
}
