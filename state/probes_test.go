package state

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/bbolt"

	"roomwatch/diff"
)

// probe commits a probe that was sent and answered n seconds after noon.
func probe(t *testing.T, s *Store, n float64, rooms string) {
	t.Helper()
	p := page(t, n, rooms)
	p.Begin, p.RequestID = p.At, "Id-probe"
	s.reads.with(func(w *diff.Witnesses) { w.SawProbe(p.Rooms) })
	if err := s.CommitProbes(p); err != nil {
		t.Fatal(err)
	}
}

// A probe tells counts that have risen, and proposes what is not known; a read creates it.
// The sweep on its way has nothing to say of either.
func TestProbesPropose(t *testing.T) {
	s, p := openReading(t)
	whole(t, s, 0, "a@1=5 b@1=5 c@1=5")
	before := hash(t, s.path)
	probe(t, s, 11, "a@1=5 b@1=4 c@0=9")
	if hash(t, s.path) != before {
		t.Error("a probe that shows nothing new is written")
	}
	if got := p.take(); got != "" {
		t.Errorf("proposed %q", got)
	}
	probe(t, s, 12, "a@1=7/another b@2=0 n@12=0")
	wantWaiting(t, s, 3, "4 a@1:5→7")
	if got := p.take(); got != "probe:b probe:n" {
		t.Errorf("proposed %q", got)
	}
	if e, _ := s.Events(3, 1); e[0].Evidence.By != diff.ByList || e[0].Evidence.Requests[0] != "Id-probe" || e[0].Room.RoomName != "" {
		t.Errorf("event %+v", e[0])
	}
	heard(t, s, 13, diff.Live, diff.Room{RoomID: "n", CreateTime: 12})
	wantWaiting(t, s, 4, "5 +n@12=0")
	// The sweep began before both were shown, and misses them and c.
	pg := page(t, 15, "b@1=5")
	pg.Begin = second(10)
	see(t, s, pg)
	sw := ended(10, pg)
	sw.End = second(16)
	if _, err := s.EndSweep(sw); err != nil {
		t.Fatal(err)
	}
	if st := s.Status(); st.Missing != 1 {
		t.Errorf("%d rooms are missing, want c alone", st.Missing)
	}
	// A higher count ends the mark, another sight of a frozen copy does not.
	probe(t, s, 17, "c@1=5")
	if st := s.Status(); st.Missing != 1 {
		t.Error("an old copy ends a mark")
	}
	probe(t, s, 18, "c@1=6")
	if st := s.Status(); st.Missing != 0 {
		t.Error("a count that has risen ends no mark")
	}
	wantWaiting(t, s, 5, "6 c@1:5→6")
}

// A frozen copy brings nothing back: a room that has ended is read, and stays ended.
func TestProbeOfAnEndedRoom(t *testing.T) {
	s, p := openReading(t)
	whole(t, s, 0, "a@1=0 b@1=0")
	whole(t, s, 10, "a@1=0")
	answer(t, s, 13, "b-")
	answer(t, s, 16, "b-")
	see(t, s, page(t, 16, "a@1=0"))
	control(t, s, 16.5)
	wantWaiting(t, s, 2, "3 -b@1")
	p.take()
	probe(t, s, 20, "a@1=0 b@1=3")
	wantWaiting(t, s, 3, "")
	if got := p.take(); got != "probe:b" {
		t.Errorf("proposed %q", got)
	}
	answer(t, s, 21, "b-")
	wantWaiting(t, s, 3, "")
	probe(t, s, 22, "b@0=3") // a life before the one that has ended
	if got := p.take(); got != "" {
		t.Errorf("proposed %q", got)
	}
}

// What nobody knew is neither known nor remembered as over, and before the first complete
// sweep it is nothing.
func TestUnknown(t *testing.T) {
	s, _ := openReading(t)
	want := func(rooms, want string) {
		t.Helper()
		got := ""
		unknown, err := s.unknown(page(t, 1, rooms).Rooms)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range unknown {
			got += r.RoomID
		}
		if got != want {
			t.Errorf("of %s nobody knew %q, want %q", rooms, got, want)
		}
	}
	want("a@1=0", "")
	whole(t, s, 0, "a@1=0 b@1=0")
	whole(t, s, 10, "a@1=0")
	answer(t, s, 13, "b-")
	answer(t, s, 16, "b-")
	see(t, s, page(t, 16, "a@1=0"))
	control(t, s, 16.5)
	want("a@1=0 b@1=0 c@1=0", "c")
	want("a@2=0 b@2=0 b@0=0", "b")
}

// A probe that is not written loses what it has shown; one that is written although the
// commit said it failed does not tell it twice.
func TestProbesFail(t *testing.T) {
	for _, stored := range []bool{false, true} {
		s, p := openReading(t)
		whole(t, s, 0, "a@1=5")
		disk := errors.New("disk")
		s.commit = func(tx *bbolt.Tx) error {
			if stored {
				return errors.Join(disk, tx.Commit())
			}
			return disk
		}
		if err := s.CommitProbes(page(t, 11, "a@1=6 n@9=0")); !errors.Is(err, disk) {
			t.Errorf("error %v", err)
		}
		s.commit = (*bbolt.Tx).Commit
		checked(t, s)
		probe(t, s, 12, "a@1=6 n@9=0")
		wantWaiting(t, s, 1, "2 a@1:5→6")
		if got := p.take(); got != "probe:n" {
			t.Errorf("proposed %q", got)
		}
	}
}

// A probe enters by the one queue of the committer, and marks the read that is on its way
// as it comes. Its failure gives the sweep up.
func TestCommitterTakesProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, c, stop := committing(t)
		s.reads.propose = func(diff.Proposal) {}
		give := func(f func(context.Context, diff.Page) ([]diff.Room, error), rooms, want string) {
			t.Helper()
			p := page(t, 0, rooms)
			p.At = time.Now()
			got := ""
			unknown, err := f(context.Background(), p)
			for _, r := range unknown {
				got += r.RoomID
			}
			if err != nil || got != want {
				t.Errorf("of %s nobody knew %q (%v), want %q", rooms, got, err, want)
			}
			time.Sleep(time.Second)
			synctest.Wait()
		}
		end := func(rooms string) error {
			_, err := c.End(context.Background(), ended(0, page(t, 0, rooms)))
			return err
		}
		give(c.Page, "a@1=0 b@1=0", "")
		if err := end("a@1=0 b@1=0"); err != nil {
			t.Fatal(err)
		}
		give(c.Probe, "a@1=3 n@1=0", "n")
		wantWaiting(t, s, 2, "3 a@1:0→3")
		c.Ask("b")
		give(c.Probe, "b@1=0", "")
		r := diff.Read{RoomID: "b", Sent: time.Now(), At: time.Now(), Outcome: diff.Gone}
		if err := c.Read(context.Background(), r); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		s.reads.with(func(w *diff.Witnesses) {
			if _, ok := w.Control(time.Now()); ok {
				t.Error("a read is a witness although a probe has shown its room meanwhile")
			}
		})
		disk := errors.New("disk")
		s.commit = func(*bbolt.Tx) error { return disk }
		give(c.Probe, "a@1=9", "")
		s.commit = (*bbolt.Tx).Commit
		if err := end("a@1=0 b@1=0"); !errors.Is(err, disk) {
			t.Errorf("end of a sweep after a probe that could not be committed: %v", err)
		}
		stop()
	})
}
