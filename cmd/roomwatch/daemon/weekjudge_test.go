package daemon

import (
	"fmt"
	"hash"
	"hash/fnv"
	"time"

	"roomwatch/poller/simulator"
	"roomwatch/publisher/events"
)

const (
	// settled is how long after a change in calm it must be told.
	settled = 10 * time.Minute
	// lasting is how long a room must live in sight to be told of, whatever happens.
	lasting = 45 * time.Minute
	// doubtful is how long after point reads failed sweeps may have ended a hidden room:
	// reads that were refused are tried again after ten minutes.
	doubtful = 12 * time.Minute
)

type lifeKey struct {
	id      string
	created int64
}

// A life is what is true of a room, and what was told of it.
type life struct {
	opened, ended time.Time
	hidden        bool // when it was looked at last
	everHidden    bool
	views         int64

	told    bool
	excused bool   // its end was told, which is false and excused
	away    bool   // told hidden
	version uint64 // of the newest event
	shown   int64  // the view count that was told last
}

// A judge compares the stream with the truth. It knows nothing of the code that
// detects and publishes: of roomwatch it uses the decoder and the verifier of
// subscribers alone.
type judge struct {
	plan     weekPlan
	verifier *events.Verifier
	lives    map[lifeKey]*life
	live     map[string]lifeKey // told so
	epoch    string
	seq      uint64
	epochs   map[string]bool

	clockSet  bool      // event times may be wrong from now on
	readsFail bool      // now
	failed    time.Time // when point reads failed last
	calmSince time.Time // zero: it is not calm

	heard   func(events.Event) // nil: nobody else listens
	faults  []string
	told    map[string]int // events by type and evidence
	excused int
	digest  hash.Hash64 // of what was told, and when
}

func newJudge(p weekPlan) *judge {
	return &judge{
		plan: p, verifier: events.NewVerifier("live"), lives: map[lifeKey]*life{}, live: map[string]lifeKey{}, epochs: map[string]bool{}, told: map[string]int{},
		digest: fnv.New64a(),
	}
}

// begin and end tell the judge what is played.
func (j *judge) begin(e episode) {
	j.clockSet = j.clockSet || e.Kind == clockSet
	j.readsFail = e.Kind == infoFails || e.Kind == bothFail || e.Kind == readsLie
	if j.calmSince = (time.Time{}); e.Kind == calm {
		j.calmSince = time.Now()
	}
}

func (j *judge) end(episode) {
	if j.readsFail {
		j.failed = time.Now()
	}
	j.readsFail = false
}

// see takes the truth. It is called often enough that no life comes and goes between.
func (j *judge) see(truth simulator.Truth) {
	for _, t := range truth.Lives {
		key := lifeKey{t.RoomID, t.CreateTime}
		l := j.lives[key]
		if l == nil {
			l = &life{opened: t.Opened}
			j.lives[key] = l
		}
		l.ended, l.hidden, l.views = t.Ended, !t.Hidden.IsZero(), t.ViewCount
		l.everHidden = l.everHidden || l.hidden
	}
}

func (j *judge) fault(format string, args ...any) {
	j.faults = append(j.faults, fmt.Sprintf(format, args...))
}

// take judges the next message of the stream, stored at that time.
func (j *judge) take(m events.Message, stored time.Time) {
	for _, f := range j.verifier.Check(m) {
		j.fault("verifier: %v: %s", f, m.Body)
	}
	e, err := events.Decode(m.Body)
	if err != nil || len(e.Sequence) == 0 {
		return // claims, and what the verifier has told
	}
	j.number(e)
	at := e.Time.Add(time.Millisecond) // its times have milliseconds
	if j.clockSet {
		at = stored
	}
	key := lifeKey{e.Data.Room.RoomID, e.Data.Room.CreateTime}
	l := j.lives[key]
	if l == nil || l.opened.After(at) {
		j.fault("%s at %s: there was no such room: %+v, %s", e.ID, at, l, m.Body)
		return
	}
	if j.heard != nil {
		j.heard(e)
	}
	by := string(e.Type)
	if e.Data.Evidence != nil {
		by += " by " + e.Data.Evidence.By
	}
	j.told[by]++
	_, _ = fmt.Fprintln(j.digest, e.Time, by, key, e.Data.Version, e.Data.Room.ViewCount) // no error: a hash takes all
	j.hear(e, key, l, at, m.Body)
}

// number checks that the numbers of an epoch have no gap.
func (j *judge) number(e events.Event) {
	epoch, seq := e.Position()
	if epoch != j.epoch {
		if j.epochs[epoch] {
			j.fault("%s: an old epoch goes on after %s", e.ID, j.epoch)
		}
		j.epoch, j.seq = epoch, 0
		j.epochs[epoch] = true
	}
	if j.seq++; seq != j.seq {
		j.fault("%s follows number %d", e.ID, j.seq-1)
		j.seq = seq
	}
}

func (j *judge) hear(e events.Event, key lifeKey, l *life, at time.Time, body []byte) {
	views := e.Data.Room.ViewCount
	switch other, isLive := j.live[key.id]; {
	case e.Type == events.RoomCreated && isLive:
		j.fault("%s: announced while the life of %d is told live: %s", e.ID, other.created, body)
	case e.Type == events.RoomCreated && l.told && !l.excused && !j.excuses(l, at):
		j.fault("%s: announced twice: %s", e.ID, body)
	case e.Type != events.RoomCreated && (!isLive || other != key):
		j.fault("%s: told of a life that is not told live: %s", e.ID, body)
	case e.Type == events.RoomCreated && e.Data.Version != 1, e.Type != events.RoomCreated && e.Data.Version != l.version+1:
		j.fault("%s: version %d follows %d: %s", e.ID, e.Data.Version, l.version, body)
	case !l.ended.IsZero() && views > l.views:
		j.fault("%s: %d views, at the end it had %d", e.ID, views, l.views)
	case j.plan.Reads > 0 && views < l.shown && e.Type != events.RoomEnded:
		j.fault("%s: %d views follow %d", e.ID, views, l.shown)
	}
	l.told, l.excused, l.version, l.shown = true, false, e.Data.Version, views
	j.live[key.id] = key
	switch e.Type {
	case events.RoomHidden, events.RoomShown:
		if l.away == (e.Type == events.RoomHidden) {
			j.fault("%s: it was so before: %s", e.ID, body)
		}
		l.away = e.Type == events.RoomHidden
	case events.RoomEnded:
		j.hearEnd(e, key, l, at, body)
	}
}

func (j *judge) hearEnd(e events.Event, key lifeKey, l *life, at time.Time, body []byte) {
	delete(j.live, key.id)
	if !l.ended.IsZero() && !l.ended.After(at) {
		return
	}
	if !j.excuses(l, at) || l.away || e.Data.Evidence.By != "sweeps" {
		j.fault("%s: false end at %s; the life of %s: %+v: %s", e.ID, at, key.id, *l, body)
		return
	}
	j.excused++
	l.shown, l.away, l.excused = 0, false, true // the first sight of it announces it again, whenever that is
}

// excuses reports whether sweeps may have decided about a hidden room, because
// no point read could be believed. Sweeps never decide about one that was told hidden.
func (j *judge) excuses(l *life, at time.Time) bool {
	return l.everHidden && (j.readsFail || at.Sub(j.failed) < doubtful)
}

// rest judges what must have been told in a calm that began so long ago.
func (j *judge) rest() {
	now := time.Now()
	for key, l := range j.lives {
		told := j.live[key.id] == key
		switch {
		case l.ended.IsZero() && !l.hidden && !told && now.Sub(l.opened) > settled && !l.everHidden:
			j.fault("the life of %s at %d is not told: %+v", key.id, key.created, *l)
		case !l.ended.IsZero() && told && now.Sub(l.ended) > settled:
			j.fault("the end of %s at %d is not told: %+v", key.id, key.created, *l)
		case !l.ended.IsZero() && !l.told && !l.everHidden && l.ended.Sub(l.opened) > lasting:
			j.fault("the life of %s at %d was never told: %+v", key.id, key.created, *l)
		}
	}
}

// differences compares what was told with the truth of a world that stands still
// and shows all its rooms.
func (j *judge) differences() (diffs []string) {
	for key, l := range j.lives {
		switch told := j.live[key.id] == key; {
		case l.ended.IsZero() != told:
			diffs = append(diffs, fmt.Sprintf("%s of %d: told live %t: %+v", key.id, key.created, told, *l))
		case told && l.shown != l.views:
			diffs = append(diffs, fmt.Sprintf("%s of %d: %d views are told: %+v", key.id, key.created, l.shown, *l))
		}
	}
	return diffs
}
