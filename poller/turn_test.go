package poller

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"roomwatch/diff"
)

// A room that waits has a place in its class, and what was read last is remembered for
// ten minutes.
func TestTurn(t *testing.T) {
	start := time.Now()
	at := func(seconds float64) time.Time { return start.Add(time.Duration(seconds * float64(time.Second))) }
	q := newProposals(func(diff.Source, string) {})
	if got := q.turn("a"); got != (Turn{}) {
		t.Errorf("of a room that nobody has named: %+v", got)
	}
	for i := range 3 {
		q.propose(diff.Proposal{RoomID: fmt.Sprint("missed", i), Source: diff.MissedBySweep}, at(float64(i)))
	}
	q.propose(diff.Proposal{RoomID: "told", Source: diff.ToldByCallback}, at(3))
	q.propose(diff.Proposal{RoomID: "a", Source: diff.PassedBySweep, Due: at(9)}, at(4))
	q.propose(diff.Proposal{RoomID: "a", Source: diff.MissedBySweep, Due: at(7)}, at(5))
	if got := q.turn("a"); got.Waiting == nil || *got.Waiting != (Waiting{Source: diff.PassedBySweep, Class: "absences", Since: at(4), Due: at(7), Before: 3}) || got.Reading {
		t.Errorf("a waits: %+v", got.Waiting)
	}
	if got := q.turn("told").Waiting; got == nil || got.Class != "callbacks" || got.Before != 0 {
		t.Errorf("told waits: %+v", got)
	}
	for range 5 {
		q.next(at(7))
	}
	if got := q.turn("a"); got.Waiting != nil || !got.Reading || !got.Last.At.IsZero() {
		t.Errorf("a is read: %+v", got)
	}
	q.done("a", diff.Hidden, at(8))
	q.done("b", diff.Gone, at(607))
	if got := q.turn("a"); got.Reading || got.Last != (LastRead{At: at(8), Outcome: diff.Hidden}) {
		t.Errorf("a was read: %+v", got)
	}
	q.done("b", diff.Live, at(608))
	if got := q.turn("a"); got != (Turn{}) {
		t.Errorf("ten minutes later: %+v", got)
	}
	if got := q.turn("b").Last; got.Outcome != diff.Live {
		t.Errorf("b was read: %+v", got)
	}
}

// However many rooms are read, no more than the newest are remembered.
func TestTurnIsBounded(t *testing.T) {
	q := newProposals(func(diff.Source, string) {})
	now := time.Now()
	for i := range maxRecent + 5 {
		q.done(fmt.Sprint(i), diff.Gone, now)
	}
	if len(q.recent) != maxRecent || len(q.order) != maxRecent || !q.turn("4").Last.At.IsZero() || q.turn("5").Last.At.IsZero() {
		t.Errorf("%d reads are remembered, %d in order", len(q.recent), len(q.order))
	}
}

// While the service refuses point reads, a turn says since when, why and until when.
func TestTurnWhileRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, nil)
		s.info = func(call) (int, string) { return http.StatusNotFound, "" }
		r := startReader(t, s.newPoller(t, Config{PointReadsPerSecond: 50}), &answers{})
		began := time.Now()
		r.ask("a")
		time.Sleep(5 * time.Second) // the read is retried for a while
		got := r.Turn("a")
		if got.Refused.Err == nil || !errors.Is(got.Refused.Err, statusError(http.StatusNotFound)) || got.Retry.Before(began.Add(refusedReads)) || got.Retry.After(began.Add(refusedReads+5*time.Second)) {
			t.Errorf("refused: %+v", got)
		}
		if got.Waiting != nil || got.Last.Outcome != diff.NoAnswer || got.Last.At.IsZero() {
			t.Errorf("refused: %+v", got)
		}
	})
}
