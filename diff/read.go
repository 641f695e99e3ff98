package diff

import "time"

// An Outcome is what a point read says of a room.
type Outcome int

// The outcomes of a point read.
const (
	NoAnswer Outcome = iota // nothing definite: an error, or an answer that does not fit the question
	Live                    // the room lives, and the list shows it
	Hidden                  // the room lives, and the list does not show it
	Gone                    // no such room exists
)

// String returns the outcome as metrics show it.
func (o Outcome) String() string {
	return [...]string{"no_answer", "live", "hidden", "gone"}[o]
}

// A Read is a point read: what the service says of one room. Its times have a
// reading of the monotonic clock.
type Read struct {
	RoomID  string
	Sent    time.Time // when the request left that was answered
	At      time.Time // when its answer was read
	Outcome Outcome
	Room    Room // if it lives

	RequestID string // of the answer; empty if it had none

	// Odd: there is no answer because the service calls the request wrong. That can
	// be for the RoomID, and then says nothing of other reads.
	Odd bool

	// Lowers: its count is believed, too, if it is lower than the known one. See
	// [Witnesses.Lowers], which tells it.
	Lowers bool
}

// A Source is why a point read is proposed.
type Source int

// The sources of proposals.
const (
	MissedBySweep  Source = iota // a complete sweep did not show the room
	PassedBySweep                // the sweep on its way is past the room's place and has not shown it
	ShownAgain                   // a page shows a life that was told as over or is newer than the known one, or a hidden room
	ShownByProbe                 // a probe shows a life that is not known, or was told as over
	HiddenRoom                   // the room is known as hidden: is it still?
	AskedAgain                   // a read of the room asks for a second one
	ToldByCallback               // the vendor's server says that something has happened to it
	ToldOtherwise                // a read of the room said something else than a callback
	LowerCount                   // pages show fewer views than are believed
)

// Sources returns all sources.
func Sources() []Source {
	return []Source{MissedBySweep, PassedBySweep, ShownAgain, ShownByProbe, HiddenRoom, AskedAgain, ToldByCallback, ToldOtherwise, LowerCount}
}

// String returns the source as metrics show it.
func (s Source) String() string {
	return [...]string{"missed", "passed", "shown_again", "probe", "hidden", "asked_again", "callback", "callback_again", "lower_count"}[s]
}

// A Proposal is a RoomID that somebody would like to know about. It carries no
// facts: it can be lost, doubled or late without harm.
type Proposal struct {
	RoomID string
	Source Source
	Due    time.Time // not to be read before
}

// Replaces reports whether the read shows a later life than the known one, so that
// this one is over.
func (r Read) Replaces(known *Known) bool {
	return known != nil && (r.Outcome == Live || r.Outcome == Hidden) && r.Room.CreateTime > known.Room.CreateTime
}

// row returns the row of a page that the read of a live room stands for. The
// attributes of a known life are those that the list has shown: the two calls need not
// agree in them at one moment. Only of a hidden room there are no others than those of
// the read. Its count is believed if it is higher than the known one.
func (r Read) row(known *Known) Room {
	row := r.Room
	row.Hidden = r.Outcome == Hidden
	if known == nil || known.Room.CreateTime != row.CreateTime {
		return row
	}
	if !row.Hidden {
		row = known.Room
		row.Hidden = false
	}
	if row.ViewCount = r.Room.ViewCount; !r.Lowers {
		row.ViewCount = max(row.ViewCount, known.Room.ViewCount)
	}
	return row
}

// SeeRead is [Policy.See] for a point read that shows a room live. The look
// begins when the read was sent.
//
// A room that is hidden lives on: it is known as hidden from then on, and that
// sweeps do not show it means nothing. A hidden room that is not known is no news; if
// it [Read.Replaces] a known one, that one has ended: see [Policy.EndRead].
func (p Policy) SeeRead(known *Known, end RecentEnd, r Read, l Look, complete uint64) Sight {
	if r.Outcome == Hidden && (known == nil || known.Room.CreateTime != r.Room.CreateTime) {
		s := Sight{Stale: true}
		if known != nil {
			s.Known = *known
		}
		return s
	}
	l.Begin, l.Reads, l.Read = r.Sent, false, true
	return p.See(known, end, r.row(known), l, complete)
}

// visibility returns the type of the event that tells that a room has come to be hidden,
// or public, as it is now.
func visibility(r Room) Type {
	if r.Hidden {
		return RoomHidden
	}
	return RoomShown
}

// visibility returns the event that tells that a room has left the list or is back on it,
// with its count, and notes in k what it tells.
func (k *Known) visibility(t Type, since time.Time, l Look) Event {
	k.Version++
	e := Event{Type: t, Room: k.Room, Since: since, Time: l.At, Version: k.Version, Sweep: l.Sweep}
	if told := k.Published; told != k.Room.ViewCount {
		e.Previous.ViewCount = &told
	}
	k.Published = k.Room.ViewCount
	return e
}

// EndRead returns the event that ends a room whose end reads have proved, and what
// is remembered of its end.
func (p Policy) EndRead(k Known, l Look, complete uint64) ([]Event, RecentEnd) {
	end := RecentEnd{CreateTime: k.Room.CreateTime, Told: l.At, Sweep: l.Sweep, Missed: k.Missing.Sweeps(complete), By: ByInfo}
	return p.End(k, l.At, k.lastSeen(l.LastComplete), l.Sweep), end
}
