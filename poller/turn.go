package poller

import (
	"time"

	"roomwatch/diff"
)

// A Turn says how one room stands with the point reads. Its times have a reading of the
// monotonic clock.
type Turn struct {
	Waiting *Waiting // nil: it does not wait for a read
	Reading bool     // a read of it is on its way
	Last    LastRead // the newest read that is over, of the last ten minutes

	Refused Failure   // since when and why the service refuses point reads; zero if it does not
	Retry   time.Time // when they are tried again, if they are refused
}

// A Waiting is a room that is proposed for a read.
type Waiting struct {
	Source diff.Source // of the first proposal
	Class  string      // of those that share the rate: absences, hidden, callbacks or others
	Since  time.Time   // when it was proposed
	Due    time.Time   // it is not read before
	Before int         // rooms of its class whose turn is earlier
}

// String returns the class in words.
func (c class) String() string { return [...]string{"absences", "hidden", "callbacks", "others"}[c] }

// Turn tells how a room stands with the point reads. It takes some microseconds, and some
// hundred while thousands of rooms wait.
func (r *Reader) Turn(id string) Turn {
	t := r.queue.turn(id)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.since.Err != nil {
		t.Refused, t.Retry = r.since, r.until
	}
	return t
}

func (q *proposals) turn(id string) Turn {
	q.mu.Lock()
	defer q.mu.Unlock()
	t := Turn{Last: q.recent[id]}
	_, t.Reading = q.reading[id]
	p := q.waiting[id]
	if p == nil {
		return t
	}
	t.Waiting = &Waiting{Source: p.Source, Class: p.class.String(), Since: p.since, Due: p.Due}
	for _, o := range q.queues[p.class] {
		if o.Due.Before(p.Due) {
			t.Waiting.Before++
		}
	}
	return t
}
