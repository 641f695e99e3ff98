package events

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// A Kind says which promise is broken.
type Kind string

// The kinds of faults.
const (
	Undecodable Kind = "undecodable" // no event and no claim, on a subject of roomwatch
	WrongID     Kind = "id"          // Nats-Msg-Id is not the event's id
	WrongPlace  Kind = "subject"     // the subject is not that of the event
	Missing     Kind = "missing"     // sequence numbers are missing
	Doubled     Kind = "doubled"     // a sequence number was there before, or comes too late
	OldEpoch    Kind = "epoch"       // an epoch that another one had followed goes on
	Backwards   Kind = "time"        // the time runs backwards, or since lies after it
	BrokenChain Kind = "version"     // the version does not follow the one before in this life
	WrongCount  Kind = "previous"    // previous is not what the event before had
	NotLive     Kind = "not-live"    // news of a room, such as its end, without its beginning
	StillLive   Kind = "still-live"  // a room is announced that has not ended
)

// A Message is what a stream holds.
type Message struct {
	Sequence uint64 // in the stream
	Subject  string
	ID       string // Nats-Msg-Id
	Body     []byte
}

// A Fault is a promise that a message breaks.
type Fault struct {
	Sequence uint64 `json:"stream_sequence"`
	Kind     Kind   `json:"kind"`
	Subject  string `json:"subject"`
	ID       string `json:"id,omitempty"` // of the event
	Text     string `json:"text"`
}

func (f Fault) String() string {
	return fmt.Sprintf("message %d: %s: %s: %s", f.Sequence, f.Kind, f.Subject, f.Text)
}

// A Verifier checks a stream, message by message. It needs memory for each
// RoomId that it sees, and none for the events.
//
// A stream whose oldest events have expired begins in the middle of an epoch:
// then the first that is heard of a room may be anything.
type Verifier struct {
	// SilentBeginnings is for a roomwatch that does not announce every room, with
	// ROOMWATCH_BASELINE=silent or without room.created in ROOMWATCH_EVENTS: the
	// first that is heard of a life may have version 2.
	SilentBeginnings bool
	// SilentEnds is for one without room.ended in ROOMWATCH_EVENTS: a life may
	// begin while an earlier one of that room seems to continue.
	SilentEnds bool

	prefix string
	apps   map[string]*application // by source
	gaps   map[string]ResumedData  // the newest, by source
	sum    Summary
}

// A Summary says what a [Verifier] has seen.
type Summary struct {
	Messages     uint64          `json:"messages"`
	Events       uint64          `json:"events"`
	Claims       uint64          `json:"claims"`
	Pulses       uint64          `json:"pulses"` // watch.alive
	Gaps         uint64          `json:"gaps"`   // watch.resumed: times in which nobody watched
	Applications int             `json:"applications"`
	Epochs       int             `json:"epochs"`
	Rooms        int             `json:"rooms"` // RoomIds
	Live         int             `json:"live"`
	Middle       bool            `json:"begins_in_the_middle"` // of an epoch: older events are no longer there
	Faults       uint64          `json:"faults"`
	Kinds        map[Kind]uint64 `json:"faults_by_kind,omitempty"`
}

// An application is what is known of the events of one source.
type application struct {
	epoch  string
	seq    uint64
	time   time.Time
	past   map[string]bool // epochs that another one has followed
	middle bool
	rooms  map[string]life
}

// A life is what the last event of a room has told.
type life struct {
	created int64
	version uint64
	views   int64
	live    bool
}

// NewVerifier returns a Verifier of the events under a prefix of subjects, such as live.
func NewVerifier(prefix string) *Verifier {
	return &Verifier{prefix: prefix, apps: map[string]*application{}, gaps: map[string]ResumedData{}, sum: Summary{Kinds: map[Kind]uint64{}}}
}

// Check takes the next message of the stream and returns what does not add up.
// After a fault it continues from what the message says, so that one fault is
// told once.
func (v *Verifier) Check(m Message) []Fault {
	v.sum.Messages++
	c := check{m: m, v: v}
	if strings.HasPrefix(m.Subject, v.prefix+".writer.claimed.") {
		v.sum.Claims++
		return nil
	}
	if strings.HasPrefix(m.Subject, v.prefix+".watch.") {
		return c.watch()
	}
	e, err := Decode(m.Body)
	if err != nil && !errors.Is(err, ErrUnknownType) {
		c.fault(Undecodable, "%v", err)
		return c.faults
	}
	v.sum.Events++
	c.e = e
	if m.ID != e.ID {
		c.fault(WrongID, "Nats-Msg-Id is %q, the event's id %q", m.ID, e.ID)
	}
	if want := SubjectOf(v.prefix, e); m.Subject != want {
		why := ""
		if m.Subject == unreleased(v.prefix, e) {
			why = "; a build before the first release wrote it"
		}
		c.fault(WrongPlace, "the event belongs on %s%s", want, why)
	}
	a, known := v.apps[e.Source]
	if !known {
		a = v.begin(e)
	}
	if known && !c.order(a) {
		return c.faults // it was judged when it came first
	}
	c.clock(a)
	a.epoch, a.seq = e.Position()
	a.time = e.Time
	c.chain(a)
	l := life{created: e.Data.Room.CreateTime, version: e.Data.Version, views: e.Data.Room.ViewCount, live: e.Type != RoomEnded}
	a.rooms[e.Data.Room.RoomID] = l
	return c.faults
}

// begin takes the first event of an application.
func (v *Verifier) begin(e Event) *application {
	epoch, seq := e.Position()
	a := &application{epoch: epoch, past: map[string]bool{}, rooms: map[string]life{}, middle: seq > 1}
	v.apps[e.Source] = a
	v.sum.Epochs++
	v.sum.Middle = v.sum.Middle || a.middle
	return a
}

// Summary returns what was seen so far.
func (v *Verifier) Summary() Summary {
	s := v.sum
	s.Applications = len(v.apps)
	for _, a := range v.apps {
		s.Rooms += len(a.rooms)
		for _, l := range a.rooms {
			if l.live {
				s.Live++
			}
		}
	}
	return s
}

// A check is the judgement of one message.
type check struct {
	v      *Verifier
	m      Message
	e      Event
	faults []Fault
}

func (c *check) fault(k Kind, format string, args ...any) {
	c.v.sum.Faults++
	c.v.sum.Kinds[k]++
	c.faults = append(c.faults, Fault{Sequence: c.m.Sequence, Kind: k, Subject: c.m.Subject, ID: c.e.ID, Text: fmt.Sprintf(format, args...)})
}

// order checks the number of the event in its epoch; it reports false if the
// event belongs to no epoch any more.
func (c *check) order(a *application) bool {
	epoch, seq := c.e.Position()
	switch {
	case epoch != a.epoch && a.past[epoch]:
		c.fault(OldEpoch, "epoch %s had ended with the first event of %s", epoch, a.epoch)
		return false
	case epoch != a.epoch:
		a.past[a.epoch] = true
		c.v.sum.Epochs++
		if seq != 1 {
			c.fault(Missing, "epoch %s begins with %d", epoch, seq)
		}
		a.time = time.Time{} // another state may have another clock
	case seq <= a.seq:
		c.fault(Doubled, "%d follows %d", seq, a.seq)
		return false
	case seq > a.seq+1:
		c.fault(Missing, "%d follows %d", seq, a.seq)
	}
	return true
}

func (c *check) clock(a *application) {
	if c.e.Time.Before(a.time) {
		c.fault(Backwards, "time %s is before %s, that of the event before", c.e.Time.Format(wireTime), a.time.Format(wireTime))
	}
	if c.e.Data.Gap && c.e.Data.Since.IsZero() {
		c.fault(Backwards, "gap is true, and since is missing")
	}
	if c.e.Data.Since.After(c.e.Time) {
		c.fault(Backwards, "since %s is after time %s", c.e.Data.Since.Format(wireTime), c.e.Time.Format(wireTime))
	}
}

// chain checks the event against the one before of its room.
func (c *check) chain(a *application) {
	d := c.e.Data
	before, known := a.rooms[d.Room.RoomID]
	same := before.live && before.created == d.Room.CreateTime
	switch {
	case c.e.Type == RoomCreated:
		if before.live && !c.v.SilentEnds {
			c.fault(StillLive, "announced while the life that began at %d goes on", before.created)
		}
	case same:
		if d.Version != before.version+1 {
			c.fault(BrokenChain, "version %d follows %d", d.Version, before.version)
			return // the event between has told another count
		}
	case !known && a.middle:
		return // its beginning has expired
	case c.v.SilentBeginnings && d.Version == 2 && (!before.live || c.v.SilentEnds):
		return
	default:
		c.fault(NotLive, "the room was not announced, or has ended")
		return
	}
	c.previous(before, same)
}

// previous checks what an event says that the one before has told.
func (c *check) previous(before life, same bool) {
	p := c.e.Data.Previous
	switch c.e.Type {
	case RoomCreated, RoomEnded:
		if p != nil {
			c.fault(WrongCount, "a %s has no previous", c.e.Type)
		}
	case ViewCountChanged, RoomUpdated, RoomHidden, RoomShown:
		told := c.e.Data.Room.ViewCount // what did not change is not in previous
		if p != nil && p.ViewCount != nil {
			told = *p.ViewCount
		} else if c.e.Type == ViewCountChanged {
			c.fault(WrongCount, "previous.ViewCount is missing")
			return
		}
		if same && told != before.views {
			c.fault(WrongCount, "previous.ViewCount is %d, the event before has %d", told, before.views)
		}
	}
}
