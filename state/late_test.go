package state

import (
	"testing"

	"roomwatch/diff"
)

// unanswered commits that a read got no answer.
func unanswered(t *testing.T, s *Store, n float64, id string) {
	t.Helper()
	heard(t, s, n, diff.NoAnswer, diff.Room{RoomID: id})
}

// late commits the answer of a read of b that was sent some time before.
func late(t *testing.T, s *Store, sent, at float64) {
	t.Helper()
	r := diff.Read{RoomID: "b", Sent: second(sent), At: second(at), Outcome: diff.Live, Room: diff.Room{RoomID: "b", CreateTime: 1}}
	if err := s.CommitReads(r); err != nil {
		t.Fatal(err)
	}
}

// An end by sweeps waits for the read of the room that is on its way.
func TestSweepsWaitForReadOnItsWay(t *testing.T) {
	s, _ := openReading(t)
	whole(t, s, 0, "a@1=0 b@1=0")
	whole(t, s, 10, "a@1=0")
	unanswered(t, s, 12.5, "b")
	unanswered(t, s, 15.5, "b")
	answer(t, s, 16, "a+")
	s.reads.with(func(w *diff.Witnesses) { w.Ask("b") })
	for i := range 3 {
		whole(t, s, float64(20+i), "a@1=0")
	}
	wantWaiting(t, s, 2, "")
	late(t, s, 20, 25)
	if st := s.Status(); st.Missing != 0 {
		t.Errorf("%d rooms are missing, b was shown", st.Missing)
	}
	wantWaiting(t, s, 2, "")
	checked(t, s)
}

// A read that was sent before an end was told does not bring the room back, in whatever
// sweep it is heard; one that was sent after it does.
func TestReadFromBeforeAnEnd(t *testing.T) {
	s, _ := openReading(t)
	whole(t, s, 0, "a@1=0 b@1=0")
	whole(t, s, 10, "a@1=0")
	answer(t, s, 13, "b-")
	answer(t, s, 16, "b-")
	control(t, s, 16.5)
	wantWaiting(t, s, 2, "3 -b@1")
	whole(t, s, 20, "a@1=0")
	whole(t, s, 30, "a@1=0")
	late(t, s, 15, 35)
	wantWaiting(t, s, 3, "")
	late(t, s, 17, 36)
	wantWaiting(t, s, 3, "4 +b@1=0")
	checked(t, s)
}

// The clock is set back by an hour and a room ends. Times stand still, and a read in a
// later sweep is believed all the same.
func TestReadAfterAnEndWhenClockWasSetBack(t *testing.T) {
	s, _ := openReading(t)
	whole(t, s, 0, "a@1=0 b@1=0")
	whole(t, s, -3600, "a@1=0")
	answer(t, s, -3597, "b-")
	answer(t, s, -3593, "b-")
	whole(t, s, -3590, "a@1=0")
	control(t, s, -3586)
	wantWaiting(t, s, 2, "3 -b@1")
	whole(t, s, -3580, "a@1=0")
	answer(t, s, -3577, "b+")
	wantWaiting(t, s, 3, "4 +b@1=0")
}

// A rebuild knows ends from the stream: a read that was sent before them means nothing.
func TestReadFromBeforeARebuild(t *testing.T) {
	s, _ := openReading(t)
	whole(t, s, 0, "a@1=0 b@1=0")
	r := diff.Room{RoomID: "b", CreateTime: 1}
	all := []diff.Event{
		{ID: "E-1", Seq: 1, Type: diff.RoomCreated, Room: r, Time: second(1), Version: 1},
		{ID: "E-2", Seq: 2, Type: diff.RoomEnded, Room: r, Time: second(12), Version: 2},
	}
	events := func(yield func(diff.Event, error) bool) {
		for _, e := range all {
			if !yield(e, nil) {
				return
			}
		}
	}
	if err := s.Rebuild(all[1], second(0), events); err != nil {
		t.Fatal(err)
	}
	whole(t, s, 20, "a@1=0")
	seq := s.counters().Seq
	late(t, s, 11, 25)
	wantWaiting(t, s, seq, "")
	late(t, s, 13, 26)
	if got := s.counters().Seq; got != seq+1 {
		t.Errorf("%d events after a read that was sent after the end", got-seq)
	}
}

// One read without an answer and then silence say nothing of the next read: what a
// page brings back is read first.
func TestSilenceIsNoFailure(t *testing.T) {
	s, p := openReading(t)
	whole(t, s, 0, "a@1=0 b@1=0")
	whole(t, s, 10, "a@1=0")
	answer(t, s, 12.5, "b-")
	answer(t, s, 15.5, "b-")
	control(t, s, 16)
	wantWaiting(t, s, 2, "3 -b@1")
	unanswered(t, s, 22, "b")
	whole(t, s, 20, "a@1=0")
	p.take()
	see(t, s, page(t, 32, "a@1=0 b@1=0"))
	wantWaiting(t, s, 3, "")
	if got := p.take(); got != "shown_again:b" {
		t.Errorf("proposed %q", got)
	}
}

// The clock is set back by an hour: the times of events stand still, and an end by
// sweeps waits for reads by the clock that reads go by.
func TestSweepsWaitForReadsWhenClockWasSetBack(t *testing.T) {
	s, _ := openReading(t)
	whole(t, s, 5000, "a@1=0 b@1=0")
	whole(t, s, 1400, "a@1=0")
	answer(t, s, 1402.5, "b-")
	whole(t, s, 1405, "a@1=0")
	whole(t, s, 1410, "a@1=0")
	wantWaiting(t, s, 2, "")
	answer(t, s, 1412, "b-")
	control(t, s, 1412.5)
	wantWaiting(t, s, 2, "3 -b@1")
	if events, _ := s.Events(2, 1); events[0].Time.Before(second(5001)) {
		t.Errorf("times run backwards: %v", events[0].Time)
	}
	checked(t, s)
}
