package diff

import "time"

// A Testimony is what reads and callbacks say of one room at a moment, for people. It
// decides nothing.
type Testimony struct {
	Answering bool // see [Witnesses.Answering]
	Refused   bool // see [Witnesses.Refuse]
	Asked     bool // a read of the room is on its way
	Passed    bool // see [Witnesses.Passed]
	Waits     bool // an end by sweeps would wait for reads of the room: see [Witnesses.Waits]

	Absent []Absent  // the witnesses that have not found it and count: at most two, the older one first
	Newer  *Newer    // a later life that waits for its proof; nil: none does
	Told   *Told     // what a callback has said of late; nil: nothing
	Failed int       // reads that have said nothing of the room since one has shown it
	FailAt time.Time // when the newest of them was answered, or given up; meaningful if Failed is not 0

	// Controls. While Distrusted, no read that does not find its room counts.
	Controllable bool      // there is a room for a control
	Distrusted   bool      // the newest control was not found
	Void         time.Time // a control that was not found was answered then; zero: there was none …
	VoidFrom     time.Time // … and it has voided the absences from then on
	Proved       bool      // two witnesses and a control after them: only the guard of mass ends can hold the end back
}

// An Absent is a witness that says that a room does not exist.
type Absent struct {
	At       time.Time
	Callback bool // it is no read
}

// A Newer is a later life of a RoomID than the known one.
type Newer struct {
	CreateTime int64
	Listed     bool      // a page has shown it
	Read       time.Time // the first read that has shown it was answered then; zero: none has
}

// A Told is what a callback has said.
type Told struct {
	Kind CallbackKind
	At   time.Time
	Seen bool // something has shown the room since
}

// String returns what a callback of the kind says of its room.
func (k CallbackKind) String() string { return [...]string{"updated", "created", "destroyed"}[k] }

// Testimony returns what is known of a room that was seen last at a moment; zero: it is not known.
func (w *Witnesses) Testimony(id string, seen, now time.Time) Testimony {
	f := w.failed[id]
	t := Testimony{
		Answering: w.Answering(now), Refused: w.refused, Asked: w.isAsked(id), Passed: w.passed[id], Waits: w.waits(id, seen, now),
		Failed: f.reads, FailAt: f.at,
		Controllable: w.controllable(now), Distrusted: w.distrusted, Void: w.voided,
	}
	if !w.voided.IsZero() {
		t.VoidFrom = w.voided.Add(-controlVoids)
	}
	if a, ok := w.gone[id]; ok {
		t.Absent = append(t.Absent, Absent{At: a.first.at, Callback: a.first.callback})
		if a.witnesses() == 2 {
			t.Absent = append(t.Absent, Absent{At: a.last.at})
		}
		t.Proved = a.proved(w.trusted)
	}
	if n, ok := w.newer[id]; ok {
		t.Newer = &Newer{CreateTime: n.createTime, Listed: n.listed, Read: n.first}
	}
	if n, ok := w.notice(id, now); ok {
		t.Told = &Told{Kind: n.kind, At: n.at, Seen: n.seen}
	}
	return t
}

func (w *Witnesses) isAsked(id string) bool {
	_, ok := w.asked[id]
	return ok
}
