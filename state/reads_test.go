package state

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/bbolt"

	"roomwatch/diff"
)

// proposals collects what a store proposes.
type proposals struct{ all []diff.Proposal }

// take returns the proposals since the last call, as "missed:a passed:b".
func (p *proposals) take() string {
	var all []string
	for _, q := range p.all {
		all = append(all, q.Source.String()+":"+q.RoomID)
	}
	p.all = nil
	slices.Sort(all)
	return strings.Join(slices.Compact(all), " ")
}

func openReading(t *testing.T) (*Store, *proposals) {
	t.Helper()
	var p proposals
	s := open(t, newPath(t))
	s.reads.propose = func(q diff.Proposal) { p.all = append(p.all, q) }
	return s, &p
}

// see is what the committer does with a page.
func see(t *testing.T, s *Store, p diff.Page) {
	t.Helper()
	s.reads.saw(p)
	commit(t, s, p)
	s.askHidden(p.At)
}

// answer sends a read of a room n seconds after noon and commits its answer: "a-" if
// it is gone, "a+" if it lives and "a~" if it is hidden. Its CreateTime is 1.
func answer(t *testing.T, s *Store, n float64, what string) {
	t.Helper()
	id, outcome := what[:len(what)-1], diff.Gone
	r := diff.Read{RoomID: id, Sent: second(n), At: second(n), RequestID: fmt.Sprint("Id-", n)}
	switch what[len(what)-1] {
	case '+':
		outcome, r.Room = diff.Live, diff.Room{RoomID: id, CreateTime: 1}
	case '~':
		outcome, r.Room = diff.Hidden, diff.Room{RoomID: id, CreateTime: 1}
	}
	r.Outcome = outcome
	s.reads.with(func(w *diff.Witnesses) { w.Ask(id) })
	if err := s.CommitReads(r); err != nil {
		t.Fatal(err)
	}
}

// control reads a control, which is found.
func control(t *testing.T, s *Store, n float64) {
	t.Helper()
	var id string
	s.reads.with(func(w *diff.Witnesses) { id, _ = w.Control(second(n)) })
	if id == "" {
		t.Fatalf("no control at %v s", n)
	}
	answer(t, s, n, id+"+")
}

// Two reads and a control end a room, in one transaction with its event and with
// what is remembered of the end.
func TestReadsEndRoom(t *testing.T) {
	s, p := openReading(t)
	see(t, s, page(t, 1, "a@1=0 b@1=0"))
	if _, err := s.EndSweep(ended(0, page(t, 1, "a@1=0 b@1=0"))); err != nil {
		t.Fatal(err)
	}
	see(t, s, page(t, 11, "a@1=0"))
	if _, err := s.EndSweep(ended(10, page(t, 11, "a@1=0"))); err != nil {
		t.Fatal(err)
	}
	if got := p.take(); got != "missed:b" {
		t.Errorf("proposed %q", got)
	}
	before := hash(t, s.path)
	answer(t, s, 12, "b-")
	if got := p.take(); got != "asked_again:b" {
		t.Errorf("after the first read proposed %q", got)
	}
	answer(t, s, 15, "b-")
	if got := p.take(); got != "" {
		t.Errorf("after the second read proposed %q", got)
	}
	if hash(t, s.path) != before {
		t.Error("reads that prove nothing are written")
	}
	see(t, s, page(t, 15.1, "a@1=0"))
	if _, err := s.EndSweep(ended(13.4, page(t, 15.1, "a@1=0"))); err != nil {
		t.Fatal(err)
	}
	if got := p.take(); got != "" {
		t.Errorf("a sweep misses what two reads did not find: proposed %q", got)
	}
	wantWaiting(t, s, 2, "")
	control(t, s, 15.5)
	wantWaiting(t, s, 2, "3 -b@1")
	events, _ := s.Events(2, 1)
	if e := events[0]; !e.Time.Equal(second(15.5)) || !e.Since.Equal(second(1)) || e.Version != 2 ||
		e.Evidence.By != diff.ByInfo || !slices.Equal(e.Evidence.Requests, []string{"Id-12", "Id-15"}) {
		t.Errorf("event %+v", e)
	}
	checked(t, s)
	// The list lags behind: the sweep that comes after shows the room again.
	p.take()
	see(t, s, page(t, 20, "a@1=0 b@1=0"))
	wantWaiting(t, s, 3, "")
	if got := p.take(); got != "shown_again:b" {
		t.Errorf("shown again, proposed %q", got)
	}
	answer(t, s, 21, "b-")
	wantWaiting(t, s, 3, "")
	if got := p.take(); got != "" {
		t.Errorf("proposed %q of a room that is not known", got)
	}
	see(t, s, page(t, 22, "a@1=0 b@1=0"))
	answer(t, s, 23, "b+")
	wantWaiting(t, s, 3, "4 +b@1=0")
}

// The transaction of an end can fail both ways: nothing of it is in the file, or all.
func TestReadsFail(t *testing.T) {
	for _, stored := range []bool{false, true} {
		s, _ := openReading(t)
		see(t, s, page(t, 1, "a@1=0 b@1=0"))
		answer(t, s, 2, "b-")
		answer(t, s, 5, "b-")
		disk := errors.New("disk")
		s.commit = func(tx *bbolt.Tx) error {
			if stored {
				return errors.Join(disk, tx.Commit())
			}
			return disk
		}
		var id string
		s.reads.with(func(w *diff.Witnesses) { id, _ = w.Control(second(6)); w.Ask(id) })
		if err := s.CommitReads(diff.Read{RoomID: id, Sent: second(6), At: second(6), Outcome: diff.Live, Room: diff.Room{RoomID: id, CreateTime: 1}}); !errors.Is(err, disk) {
			t.Errorf("error %v", err)
		}
		s.commit = (*bbolt.Tx).Commit
		checked(t, s)
		if !stored {
			wantWaiting(t, s, 2, "")
			see(t, s, page(t, 7, "a@1=0"))
			answer(t, s, 8, "b-")
			answer(t, s, 11, "b-")
			control(t, s, 11.5)
		}
		wantWaiting(t, s, 2, "3 -b@1")
		checked(t, s)
	}
}

// A room is passed when the sweep is two pages past its place and has not shown it;
// not if a read has shown it, and not where its count leaves the place open.
func TestPassedRooms(t *testing.T) {
	s, p := openReading(t)
	pages := []string{"a@1=50 b@1=45 c@1=40", "d@1=30 e@1=25", "f@1=20 g@1=20", "h@1=10", "i@1=5", "j@1=0"}
	for i, rooms := range pages {
		see(t, s, page(t, float64(i), rooms))
	}
	if _, err := s.EndSweep(ended(0, page(t, 1, strings.Join(pages, " ")))); err != nil {
		t.Fatal(err)
	}
	if got := p.take(); got != "" {
		t.Errorf("in the first sweep proposed %q", got)
	}
	answer(t, s, 15, "c~") // a hidden room has no place
	gone := strings.NewReplacer("b@1=45 ", "", " c@1=40", "", "c@1=40", "", "d@1=30 ", "", "g@1=20", "", "i@1=5", "k@1=5")
	want := []string{"hidden:c", "", "hidden:c", "passed:b passed:d", "hidden:c passed:b passed:d", ""}
	for i, rooms := range pages {
		pg := page(t, float64(20+3*i), gone.Replace(rooms))
		pg.Begin = second(19)
		see(t, s, pg)
		if got := p.take(); got != want[i] {
			t.Errorf("after page %d proposed %q, want %q", i+1, got, want[i])
		}
		if i == 4 {
			answer(t, s, 32.5, "d+")
			want[5] = "passed:b passed:g"
		}
	}
}

// What a read has shown since the sweep began is not missing after it; it counts as
// missed, so that the next absences are believed later.
func TestSweepDoesNotMissWhatReadsShow(t *testing.T) {
	s, p := openReading(t)
	all := "a@1=0 b@1=0 c@1=0"
	see(t, s, page(t, 1, all))
	if _, err := s.EndSweep(ended(0, page(t, 1, all))); err != nil {
		t.Fatal(err)
	}
	see(t, s, page(t, 11, "a@1=0"))
	answer(t, s, 11.5, "b+")
	before := s.counters().Misses
	if _, err := s.EndSweep(ended(10, page(t, 11, "a@1=0"))); err != nil {
		t.Fatal(err)
	}
	if got := p.take(); got != "missed:c" || s.Status().Missing != 1 {
		t.Errorf("proposed %q, %d missing", got, s.Status().Missing)
	}
	if got := s.counters().Misses; got < before*0.98+0.9 {
		t.Errorf("misses %v, then %v: b was missed", before, got)
	}
	see(t, s, page(t, 21, "a@1=0"))
	if _, err := s.EndSweep(ended(20, page(t, 21, "a@1=0"))); err != nil {
		t.Fatal(err)
	}
	if got := p.take(); got != "missed:b missed:c" {
		t.Errorf("proposed %q: the read of b was before this sweep", got)
	}
}

// A read that was sent before the sweep began says nothing of a room that it misses.
func TestSweepMissesWhatReadsHaveShownBefore(t *testing.T) {
	s, p := openReading(t)
	all := "a@1=0 b@1=0"
	see(t, s, page(t, 1, all))
	if _, err := s.EndSweep(ended(0, page(t, 1, all))); err != nil {
		t.Fatal(err)
	}
	answer(t, s, 3, "b+") // and it ends at 4
	before := s.counters().Misses
	see(t, s, page(t, 11, "a@1=0"))
	if _, err := s.EndSweep(ended(10, page(t, 11, "a@1=0"))); err != nil {
		t.Fatal(err)
	}
	if got := p.take(); got != "missed:b" || s.counters().Misses > before {
		t.Errorf("proposed %q, misses %v, then %v", got, before, s.counters().Misses)
	}
	answer(t, s, 12.5, "b-")
	answer(t, s, 15.5, "b-")
	control(t, s, 16)
	wantWaiting(t, s, 2, "3 -b@1")
	if events, _ := s.Events(2, 1); events[0].Since.After(second(4)) {
		t.Errorf("it is said to have lived at %v, and had ended at %v", events[0].Since, second(4))
	}
}

// While reads are answered, sweeps end no room before its own have failed five times.
func TestSweepsWaitForReads(t *testing.T) {
	for _, tried := range []bool{false, true} {
		s, p := openReading(t)
		see(t, s, page(t, 1, "a@1=0 b@1=0"))
		if _, err := s.EndSweep(ended(0, page(t, 1, "a@1=0 b@1=0"))); err != nil {
			t.Fatal(err)
		}
		if tried {
			for _, n := range []float64{6, 7, 8, 9, 9.5} {
				s.reads.with(func(w *diff.Witnesses) { w.Ask("b") })
				if err := s.CommitReads(diff.Read{RoomID: "b", Sent: second(n), At: second(n)}); err != nil {
					t.Fatal(err)
				}
			}
			p.take()
			s.reads.with(func(w *diff.Witnesses) { w.Ask("a") })
			if err := s.CommitReads(diff.Read{RoomID: "a", Sent: second(10), At: second(10), Outcome: diff.Live, Room: diff.Room{RoomID: "a", CreateTime: 1}}); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 10 {
			n := float64(10 + 10*i)
			see(t, s, page(t, n+1, "a@1=0"))
			if _, err := s.EndSweep(ended(n, page(t, n+1, "a@1=0"))); err != nil {
				t.Fatal(err)
			}
		}
		want := ""
		if tried {
			want = "3 -b@1"
		}
		wantWaiting(t, s, 2, want)
		if got := p.take(); got != "missed:b" {
			t.Errorf("proposed %q", got)
		}
	}
}

// A read that shows an older life says nothing of the one that sweeps miss: these
// decide.
func TestReadOfOlderLife(t *testing.T) {
	s, _ := openReading(t)
	see(t, s, page(t, 1, "a@1=0 b@7=0"))
	if _, err := s.EndSweep(ended(0, page(t, 1, "a@1=0 b@7=0"))); err != nil {
		t.Fatal(err)
	}
	for i := range 8 {
		n := float64(10 + 10*i)
		see(t, s, page(t, n+1, "a@1=0 b@1=0"))
		answer(t, s, n+1.5, "b+")
		if _, err := s.EndSweep(ended(n, page(t, n+1, "a@1=0 b@1=0"))); err != nil {
			t.Fatal(err)
		}
	}
	wantWaiting(t, s, 2, "3 -b@7")
}

// A hidden room stays known: no sweep misses it, or ends it. It is read now and then,
// ends by reads, and is shown again when a read says so, not when a page does.
func TestHiddenRoom(t *testing.T) {
	s, p := openReading(t)
	whole := func(n float64, rooms string) {
		t.Helper()
		see(t, s, page(t, n+1, rooms))
		if _, err := s.EndSweep(ended(n, page(t, n+1, rooms))); err != nil {
			t.Fatal(err)
		}
		checked(t, s)
	}
	whole(0, "a@1=0 b@1=5 c@1=5")
	whole(10, "a@1=0")
	answer(t, s, 12, "b~")
	answer(t, s, 12, "c~")
	if st := s.Status(); st.Hidden != 2 || st.Missing != 0 || st.Rooms != 3 {
		t.Errorf("status %+v", st)
	}
	p.take()
	for i := range 12 {
		whole(float64(20+10*i), "a@1=0")
	}
	wantWaiting(t, s, 3, "")
	if got := p.take(); got != "hidden:b hidden:c" {
		t.Errorf("proposed %q", got)
	}
	s = reopen(t, s)
	s.reads.propose = func(q diff.Proposal) { p.all = append(p.all, q) }
	whole(200, "a@1=0 b@1=9")
	if got := p.take(); got != "hidden:b hidden:c shown_again:b" || s.Status().Hidden != 2 {
		t.Errorf("a page shows b: proposed %q, %d hidden", got, s.Status().Hidden)
	}
	wantWaiting(t, s, 3, "")
	answer(t, s, 203, "b+")
	whole(210, "a@1=0 b@1=9")
	wantWaiting(t, s, 3, "4 b@1:5→9")
	answer(t, s, 213, "c-")
	answer(t, s, 216, "c-")
	control(t, s, 216.5)
	wantWaiting(t, s, 4, "5 -c@1")
	if events, _ := s.Events(4, 1); !events[0].Room.Hidden || !events[0].Since.Equal(second(12)) {
		t.Errorf("event %+v", events[0])
	}
	if st := s.Status(); st.Hidden != 0 || st.Rooms != 2 {
		t.Errorf("status %+v", st)
	}
	p.take()
	whole(230, "a@1=0 b@1=9")
	if got := p.take(); got != "" {
		t.Errorf("nothing is hidden, proposed %q", got)
	}
}

// Hidden rooms are read also where the list is empty, and when the clock was set back.
func TestHiddenRoomsAreAskedFor(t *testing.T) {
	s, p := openReading(t)
	see(t, s, page(t, 1, "a@1=0"))
	answer(t, s, 2, "a~")
	for _, step := range []struct {
		at   float64
		want string
	}{{10, "hidden:a"}, {14, ""}, {15, "hidden:a"}, {-3600, "hidden:a"}, {-3596, ""}, {-3595, "hidden:a"}} {
		see(t, s, page(t, step.at, ""))
		if got := p.take(); got != step.want {
			t.Errorf("at %v s proposed %q, want %q", step.at, got, step.want)
		}
	}
}

// Where there are no point reads any more, sweeps decide of hidden rooms, too.
func TestHiddenRoomWithoutReads(t *testing.T) {
	s, _ := openReading(t)
	see(t, s, page(t, 1, "a@1=0 b@1=0"))
	if _, err := s.EndSweep(ended(0, page(t, 1, "a@1=0 b@1=0"))); err != nil {
		t.Fatal(err)
	}
	answer(t, s, 2, "b~")
	s = reopen(t, s)
	for i := range 4 {
		sweep(t, s, float64(10+10*i), "a@1=0")
	}
	wantWaiting(t, s, 2, "3 -b@1")
	if st := s.Status(); st.Hidden != 0 {
		t.Errorf("status %+v", st)
	}
}

// A rebuild knows nothing of reads that were sent before it.
func TestRebuildForgetsReads(t *testing.T) {
	s, _ := openReading(t)
	see(t, s, page(t, 1, "a@1=0 b@1=0"))
	answer(t, s, 2, "b-")
	s.reads.with(func(w *diff.Witnesses) { w.Ask("b") })
	none := func(func(diff.Event, error) bool) {}
	if err := s.Rebuild(diff.Event{ID: "E-1", Type: diff.RoomCreated, Room: diff.Room{RoomID: "a", CreateTime: 1}, Time: second(1)}, time.Time{}, none); err != nil {
		t.Fatal(err)
	}
	see(t, s, page(t, 4, "b@1=0"))
	see(t, s, page(t, 4.5, "a@1=0"))
	if err := s.CommitReads(diff.Read{RoomID: "b", Sent: second(2), At: second(5), Outcome: diff.Gone}); err != nil {
		t.Fatal(err)
	}
	var n int
	s.reads.with(func(w *diff.Witnesses) {
		if _, ok := w.Control(second(5)); ok {
			n++
		}
	})
	if n != 0 {
		t.Error("a read from before the rebuild is a witness")
	}
}

// A page that was read while a read was on its way makes its absence worthless, in
// whatever order the two are committed.
func TestCommitterMarksReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, c, stop := committing(t)
		s.reads.propose = func(diff.Proposal) {}
		give := func(rooms string) {
			t.Helper()
			p := page(t, 0, rooms)
			p.At = time.Now()
			if _, err := c.Page(context.Background(), p); err != nil {
				t.Fatal(err)
			}
		}
		read := func(o diff.Outcome, id string, before func()) {
			t.Helper()
			c.Ask(id)
			r := diff.Read{RoomID: id, Sent: time.Now(), Outcome: o, Room: diff.Room{RoomID: id, CreateTime: 1}}
			before()
			time.Sleep(100 * time.Millisecond)
			r.At = time.Now()
			if err := c.Read(context.Background(), r); err != nil {
				t.Fatal(err)
			}
			time.Sleep(3 * time.Second)
		}
		check := func() {
			t.Helper()
			id, ok := c.Control(time.Now())
			if ok {
				read(diff.Live, id, func() {})
			}
		}
		give("b@1=0")
		give("a@1=0")
		read(diff.Gone, "b", func() {})
		read(diff.Gone, "b", func() { give("b@1=0"); give("a@1=0") })
		check()
		wantWaiting(t, s, 2, "")
		give("a@1=0")
		read(diff.Gone, "b", func() {})
		read(diff.Gone, "b", func() {})
		check()
		wantWaiting(t, s, 2, "3 -b@1")
		stop()
	})
}

// The look for passed rooms is cheap at 100,000 rooms.
func BenchmarkPassed(b *testing.B) {
	x := newRoomIndex()
	for i := range 100_000 {
		r := diff.Room{RoomID: fmt.Sprintf("live_room_%06d", i), ViewCount: int64(i)}
		x.add(r.RoomID, uint64(i+1))
		x.listed(r, uint64(i+1), uint64(i%100/99))
	}
	for b.Loop() {
		if n := len(x.passed(0, 0)); n == 0 {
			b.Fatal("none")
		}
	}
}

// A process that starts proposes the rooms that the one before has found missing, and
// no others; one without point reads proposes nothing.
func TestMissingRoomsAreProposedAtTheStart(t *testing.T) {
	s := open(t, newPath(t))
	sweep(t, s, 0, "a@1=0 b@1=0 c@1=0 d.e@1=0")
	sweep(t, s, 1, "a@1=0 c@1=0")
	sweep(t, s, 2, "a@1=0 b@1=0") // b is back, c is missing, too
	path := s.path
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, reads := range []bool{true, false} {
		var p proposals
		c := Config{Path: path, SDKAppID: testApp, Policy: diff.DefaultPolicy()}
		if reads {
			c.Propose = func(q diff.Proposal) { p.all = append(p.all, q) }
		}
		again, err := Open(c)
		if err != nil {
			t.Fatal(err)
		}
		if err := again.Close(); err != nil {
			t.Fatal(err)
		}
		want := map[bool]string{true: "missed:c missed:d.e"}[reads]
		if got := p.take(); got != want {
			t.Errorf("with reads %t proposed %q, want %q", reads, got, want)
		}
	}
}
