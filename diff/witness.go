package diff

import (
	"maps"
	"time"
)

const (
	controlEvery = 500 * time.Millisecond // between two controls while there are absences to believe: an end by a callback waits for one
	controlVoids = 5 * time.Second
	queuedFor    = 30 * time.Second // a second read that has not come by then is one of too many
	turnFor      = 10 * time.Second // so is one that was not sent by then
	failedFor    = time.Hour        // for which it is remembered that reads of a room failed
)

// Witnesses keeps what point reads have said of rooms that they did not find,
// until it is enough for an end. It is not safe for concurrent use.
//
// An end by reads needs three answers, none of which the others can stand for:
//
//   - A first read finds no such room. If a page shows the room while the read
//     is on its way, the read proves nothing: presence beats absence.
//   - A second read, sent at least three seconds after the first was answered,
//     finds none either, and nothing has shown the room in between. A callback that says that
//     the room was destroyed stands for the first, if nothing has shown the room since.
//   - After that a control succeeds: the read of a room of the newest page or, where no
//     page has shown one of late, of the room that a read has found last. A control that
//     finds no room voids all absences of the last five seconds, and those that follow
//     until a control succeeds.
//
// Without a room for a control no room ends by reads, and sweeps decide.
type Witnesses struct {
	policy  Policy
	asked   map[string]question // rooms with a read on its way
	gone    map[string]absence  // rooms that reads did not find
	newer   map[string]newerLife
	told    map[string]notice  // rooms of which callbacks have spoken of late
	failed  map[string]failure // reads that said nothing of a room
	lower   map[string]lowering
	passed  map[string]bool    // rooms that the sweep on its way is past, as of the last look
	shown   map[string]showing // rooms that reads have shown since the last sweep ended
	failing time.Time          // the first read without a definite answer after the last one with one; zero: none
	fails   time.Time          // the last of them
	odd     string             // the room whose read alone is refused, see Read.Odd; "" if none is
	refused bool
	held    HeldEnds

	candidates []string // rooms of the newest page, for controls
	shownAt    time.Time
	found      string // the room that a read has shown last: a control where no page has one
	foundAt    time.Time
	control    string // the room of the control that is on its way; "" if none is
	controlAt  time.Time
	distrusted bool      // the newest control was not found
	voided     time.Time // the newest control that was not found was answered then
	trusted    time.Time // the newest control that was found was sent then
}

// An absence is a room that reads did not find. Until there is a second witness,
// first and last are the same.
type absence struct{ first, last witness }

// A question is a read on its way.
type question struct {
	seen bool // the room was shown since it was sent
}

type witness struct {
	at       time.Time
	request  string
	callback bool  // it is no read
	signed   int64 // the callback, see [Callback.Signed]
}

func (a absence) witnesses() int {
	if a.last == a.first {
		return 1
	}
	return 2
}

func (a absence) proved(trusted time.Time) bool {
	return a.witnesses() == 2 && !trusted.Before(a.last.at)
}

// NewWitnesses returns a Witnesses that has heard nothing.
func NewWitnesses(p Policy) *Witnesses {
	w := &Witnesses{policy: p}
	w.Reset()
	return w
}

// Reset forgets what was heard. A read that is on its way proves no absence any
// more.
func (w *Witnesses) Reset() {
	asked := make(map[string]question)
	for id := range w.asked {
		asked[id] = question{seen: true}
	}
	*w = Witnesses{
		policy: w.policy, asked: asked, gone: make(map[string]absence), newer: make(map[string]newerLife), told: make(map[string]notice), failed: make(map[string]failure), lower: make(map[string]lowering), shown: make(map[string]showing),
		failing: w.failing, fails: w.fails, refused: w.refused, control: w.control, controlAt: w.controlAt,
	}
}

// Abandon forgets the reads that are on their way: nobody will tell their answers.
func (w *Witnesses) Abandon() {
	clear(w.asked)
	w.control = ""
}

// Ask notes that a read of the room is about to be sent. There is one at a time
// of each room.
func (w *Witnesses) Ask(id string) { w.asked[id] = question{} }

// Saw notes that a page has shown rooms.
func (w *Witnesses) Saw(rooms []Room, at time.Time) {
	if len(rooms) == 0 {
		return
	}
	w.candidates, w.shownAt = w.candidates[:0], at
	for _, r := range rooms {
		w.candidates = append(w.candidates, r.RoomID)
		w.saw(r.RoomID, r.CreateTime)
		w.raise(r)
	}
}

func (w *Witnesses) saw(id string, createTime int64) {
	if q, ok := w.asked[id]; ok {
		q.seen = true
		w.asked[id] = q
	}
	delete(w.gone, id)
	delete(w.passed, id)
	w.contradict(id, createTime)
	if n, ok := w.told[id]; ok {
		n.seen = true
		w.told[id] = n
	}
}

// Passed notes which rooms the sweep on its way is past without having shown them.
func (w *Witnesses) Passed(ids []string) {
	w.passed = make(map[string]bool, len(ids))
	for _, id := range ids {
		w.passed[id] = true
	}
}

// span is the time for which an answer counts as recent.
func (w *Witnesses) span() time.Duration { return max(w.policy.Interval, minWitnessSpan) }

// A Finding is what an answer asks for.
type Finding struct {
	Present bool      // the room lives, and is hidden only if no page has shown it since the read left: see [Policy.SeeRead]
	Again   time.Time // the room is to be read again then; zero: it is not
	Told    bool      // also if the room is not known: a callback said something else of it
	Trusted bool      // a control was found: see [Witnesses.Proved]
}

// Hear takes the answer of a read.
func (w *Witnesses) Hear(r Read) Finding {
	q, asked := w.asked[r.RoomID]
	control := asked && w.control == r.RoomID
	delete(w.asked, r.RoomID)
	w.refused = w.refused && r.Outcome == NoAnswer
	if control {
		w.control = ""
	}
	var f Finding
	switch r.Outcome {
	case Live, Hidden:
		w.failing, w.odd = time.Time{}, ""
		w.saw(r.RoomID, r.Room.CreateTime)
		w.found, w.foundAt = r.RoomID, r.At
		f.Present = r.Outcome == Live || !q.seen
		if f.Again, f.Told = w.callback(r); !f.Present && f.Again.IsZero() {
			f.Again = r.At.Add(minWitnessSpan) // the list has shown it meanwhile: neither is newer
		}
		if control {
			w.distrusted, w.trusted, f.Trusted = false, r.Sent, true
		}
	case Gone:
		if w.found == r.RoomID {
			w.found = ""
		}
		if control {
			w.void(r.At)
			return f
		}
		if f.Again, f.Told = w.callback(r); f.Again.IsZero() {
			f.Again = r.At.Add(minWitnessSpan)
		}
		if q.seen || !asked || w.distrusted {
			w.fail(r)
			return f
		}
		w.failing, w.odd = time.Time{}, ""
		w.contradict(r.RoomID, 0)
		if w.testify(r) == 2 && !f.Told {
			f.Again = time.Time{}
		}
	case NoAnswer:
		f.Again = r.At.Add(minWitnessSpan)
		_, f.Told = w.notice(r.RoomID, r.At)
		w.fail(r)
	}
	return f
}

// testify takes a read that did not find its room as a witness, and returns how many
// there are now: one or two.
func (w *Witnesses) testify(r Read) (witnesses int) {
	now := witness{at: r.At, request: r.RequestID}
	a, ok := w.gone[r.RoomID]
	switch {
	case !ok:
		a = absence{w.destroyed(r, now), now}
	case r.Sent.Sub(a.first.at) >= minWitnessSpan:
		a.last = now
	}
	w.gone[r.RoomID] = a
	return a.witnesses()
}

// EndSweep notes that a sweep has ended; marked: the rooms that it has missed are
// marked as missing. Those of one that breaks off stay passed until they are shown.
func (w *Witnesses) EndSweep(now time.Time, marked bool) {
	clear(w.shown)
	if marked {
		w.passed = nil
	}
	// A room that is still missing is read again with each sweep.
	w.forgetNewer(now)
	w.forgetTold(now)
	w.forgetLower(now)
	maps.DeleteFunc(w.failed, func(_ string, f failure) bool { return now.Sub(f.at) > failedFor })
}

// Forget forgets a room that has ended.
func (w *Witnesses) Forget(id string) {
	delete(w.gone, id)
	delete(w.newer, id)
	delete(w.passed, id)
	delete(w.failed, id)
	delete(w.lower, id)
}
