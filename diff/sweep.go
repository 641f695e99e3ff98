package diff

import "time"

// A Page is one answer of the service, in the order in which it was read. Its times have
// a reading of the monotonic clock, so that they can be compared with those of reads
// though the wall clock is set.
type Page struct {
	At    time.Time // when the whole answer had arrived
	Begin time.Time // of its sweep: when the first request was sent
	Rooms []Room

	// Asked is when it was asked for, by the service's clock, to the second; by
	// ours if its answer told none. Zero if that is not known.
	Asked time.Time

	RequestID string // of the answer; empty if it had none

	Trace string // of its reading, as a W3C traceparent; empty if nothing is traced
}

// A Sweep is what one reading of the list proves, from the first page to the
// empty Next or to where it broke off. Its times have a reading of the monotonic clock.
type Sweep struct {
	Begin, End time.Time // first request sent, last answer read

	// Apart is the time from the begin of the newest complete sweep before this
	// one to the begin of this one; 0 if it is not known. By the monotonic clock
	// if one process made both, else by the wall clock.
	Apart time.Duration

	// Complete reports that the last page was reached and every row of every
	// page was understood. Only a complete sweep proves any absence.
	Complete bool

	RequestID string // of its last page; empty if it had none

	Pages int   // that were read
	Seen  *Seen // the lives on them; may be nil if the sweep is not complete
}
