package diff

import (
	"slices"
	"time"
)

// A Known is what is believed of a room that is live.
type Known struct {
	Room      Room      // as last seen
	Version   uint64    // of its last event
	Published int64     // the ViewCount that its last event told
	FirstSeen time.Time // this life; zero if unknown
	CountedAt time.Time // when its last viewcount.changed was seen, by the wall clock; zero if there was none

	// SeenAt is a moment at which the room was seen: when this record was last
	// written. It is not rewritten by sweeps that change nothing; the newest
	// complete sweep that did not miss the room is then the later one.
	SeenAt time.Time

	// EqualAt is a moment at which ViewCount was still Published. It is
	// meaningful only while they differ, that is while a change is held back.
	EqualAt time.Time

	Missing Missing // zero while nothing is missing

	// Unlisted: a read has shown this life, and no page has. Its attributes are those of the
	// read, and the first page replaces them without an event: the two calls need not agree.
	Unlisted bool
}

// Settled reports whether nothing is held back and nothing is missing, and a page has
// shown the room: then the sight of the room as it is changes nothing.
func (k Known) Settled() bool {
	return k.Published == k.Room.ViewCount && k.Missing.First == 0 && !k.Unlisted
}

// Missing marks a room that complete sweeps have not seen. A sight of it ends
// the mark.
type Missing struct {
	First    uint64        // the first of them, by the count of complete sweeps; 0: none
	Watched  time.Duration // [History.Watched] when it began
	LastSeen time.Time     // the room was live at this moment
}

// Sweeps returns how many complete sweeps in a row have missed the room, where
// complete is the number of complete sweeps so far.
func (m Missing) Sweeps(complete uint64) uint64 {
	if m.First == 0 {
		return 0
	}
	return complete - m.First + 1
}

// A Look is when and in which circumstances a page was read.
type Look struct {
	At       time.Time // not before any earlier event's time
	Wall     time.Time // the same by the wall clock, which can have been set back
	Sweep    uint64
	Begin    time.Time // of the sweep, by the wall clock; zero, if it is not known, is before everything
	Baseline bool      // no sweep of this state has been complete yet
	// WatchedSince is when the first page was asked for, by the service's clock;
	// zero if that is not known, and then all rooms of the baseline were live before.
	WatchedSince time.Time
	// LastComplete is when the newest complete sweep began; zero if there was none.
	LastComplete time.Time
	// Reads: point reads are answered. That a life which was told as over lives on, or
	// that a newer one has taken the place of a known one, is then not believed before
	// a read has shown it: the list may lag behind, or be wrong. Nor is a lower count.
	Reads bool
	Read  bool // it is a point read, sent at Begin, not a page
}

// A Sight is what the sight of one room means.
type Sight struct {
	Known   Known   // what is believed from now on
	Events  []Event // without ID and Seq, in their order
	Changed bool    // Known differs from what was known before
	Stale   bool    // the row may show the past, such as a life that is already over; it means nothing
	Ask     bool    // Stale, and a read of the room would tell more
	Lower   bool    // the row has fewer views than are believed, which is passed over: see [Witnesses.Lower]
	Missed  uint64  // complete sweeps that had missed the room although it was live
}

// See compares one room on a page with what was known of its RoomID: known is
// nil if none is live, end is the newest end. complete is the number of complete
// sweeps so far.
//
// The same RoomID with a newer CreateTime is another room, and proves that the
// old one ended, if point reads cannot say so. An older CreateTime, or that of a life that was told as over
// after the sweep began, is an old copy of the list: it proves nothing and changes
// nothing. A life that a later sweep shows again was live, or hidden, all the time.
func (p Policy) See(known *Known, end RecentEnd, r Room, l Look, complete uint64) Sight {
	switch {
	case known != nil && r.CreateTime == known.Room.CreateTime && known.Room.Hidden && l.Reads:
		return Sight{Known: *known, Stale: true, Ask: true} // the page may be older than the hiding
	case known != nil && r.CreateTime == known.Room.CreateTime:
		return p.compare(*known, r, l, complete)
	case known != nil && r.CreateTime < known.Room.CreateTime:
		return Sight{Known: *known, Stale: true}
	case end.covers(r, l) || l.Reads && end.tells(r):
		s := Sight{Stale: true, Ask: !end.covers(r, l)}
		if known != nil {
			s.Known = *known
		}
		return s
	}
	if l.Reads && known != nil {
		return Sight{Known: *known, Stale: true, Ask: true} // a newer life: a page alone ends nothing
	}
	var before []Event
	if known != nil {
		before = p.End(*known, l.At, known.lastSeen(l.LastComplete), l.Sweep)
	}
	if !end.tells(r) {
		return p.create(r, l, before)
	}
	l.Baseline = false // it was told of before
	s := p.create(r, l, before)
	s.Missed = end.Missed
	return s
}

// End returns the event that ends a known room, or none if ends are not published.
func (p Policy) End(k Known, at, since time.Time, sweep uint64) []Event {
	if !p.publishes(RoomEnded) {
		return nil
	}
	return []Event{{Type: RoomEnded, Room: k.Room, Since: since, Time: at, Version: k.Version + 1, Sweep: sweep}}
}

func (p Policy) create(r Room, l Look, before []Event) Sight {
	s := Sight{
		Known:   Known{Room: r, Version: 1, Published: r.ViewCount, FirstSeen: l.At, SeenAt: l.At, Unlisted: l.Read},
		Events:  before,
		Changed: true,
	}
	baseline := l.Baseline && r.liveBefore(l.WatchedSince)
	if !p.publishes(RoomCreated) || baseline && p.SilentBaseline {
		return s
	}
	e := Event{Type: RoomCreated, Room: r, Time: l.At, Version: 1, Baseline: baseline, Sweep: l.Sweep}
	// An earlier sweep that did not show the room is no proof that it was not
	// live, so the only instant known to lie before is the service's own.
	if since := time.Unix(r.CreateTime, 0).UTC(); !baseline && since.Before(l.At) {
		e.Since = since
	}
	s.Events = append(s.Events, e)
	return s
}

// liveBefore reports whether the room was live at t, or may have been where t is
// not known.
func (r Room) liveBefore(t time.Time) bool { return t.IsZero() || r.CreateTime <= t.Unix() }

// compare takes a sight of a known life, r, by a page or a read. The attributes of a
// read are kept until a page shows the room, and then replaced without an event: the two
// calls need not agree in them.
func (p Policy) compare(k Known, r Room, l Look, complete uint64) Sight {
	before := k.lastSeen(l.LastComplete)
	s := Sight{Known: k}
	if l.Reads && r.ViewCount < k.Room.ViewCount {
		s.Lower, r.ViewCount = true, k.Room.ViewCount
	}
	n := &s.Known
	if k.Missing.First > 0 {
		if !r.Hidden { // else the sweeps were right
			s.Missed = k.Missing.Sweeps(complete)
		}
		n.Missing = Missing{}
		s.Changed = true
	}
	if k.Room.ViewCount == k.Published {
		n.EqualAt = before
	}
	same := k.Room.sameAttributes(r)
	n.Room, n.Unlisted = r, l.Read && (k.Unlisted || !same)
	if !same || k.Room.ViewCount != r.ViewCount || k.Room.Hidden != r.Hidden || k.Unlisted != n.Unlisted {
		s.Changed = true
	}

	if t := visibility(r); k.Room.Hidden != r.Hidden && p.publishes(t) {
		s.Events = append(s.Events, n.visibility(t, before, l))
	}
	if p.due(*n, r, l.Wall) {
		n.Version++
		n.CountedAt = l.Wall
		n.Published = r.ViewCount
		s.Events = append(s.Events, Event{
			Type: ViewCountChanged, Room: r, Since: n.EqualAt, Time: l.At,
			Previous: Previous{ViewCount: &k.Published}, Version: n.Version, Sweep: l.Sweep,
		})
	}
	if !same && !k.Unlisted && !l.Read && p.publishes(RoomUpdated) {
		n.Version++
		s.Events = append(s.Events, Event{
			Type: RoomUpdated, Room: r, Since: before, Time: l.At,
			Previous: changes(k.Room, r, n.Published), Version: n.Version, Sweep: l.Sweep,
		})
		n.Published = r.ViewCount // this event tells it too
	}
	if len(s.Events) > 0 {
		s.Changed = true
	}
	if s.Changed {
		n.SeenAt = l.At
	}
	return s
}

// due reports whether the view count of r is to be published now. A change
// that is held back is looked at again with every sight of the room, against
// the published count, so it is never forgotten. Where the wall clock was set
// back, how long ago the last one was is not known, and nothing is held back for it.
func (p Policy) due(k Known, r Room, wall time.Time) bool {
	d := r.ViewCount - k.Published
	if d < 0 {
		d = -d
	}
	age := wall.Sub(k.CountedAt)
	return d != 0 && p.publishes(ViewCountChanged) &&
		d >= p.MinChange &&
		float64(d)*100 >= p.MinPercent*float64(k.Published) &&
		(k.CountedAt.IsZero() || age < 0 || age >= p.MinInterval)
}

// changes lists what room.updated tells of, and the view count if it moved too
// since the room's last event, so that the chain of counts stays whole.
func changes(old, now Room, published int64) Previous {
	var p Previous
	if old.RoomName != now.RoomName {
		p.RoomName = &old.RoomName
	}
	if old.OwnerAccount != now.OwnerAccount {
		p.OwnerAccount = &old.OwnerAccount
	}
	if old.CoverURL != now.CoverURL {
		p.CoverURL = &old.CoverURL
	}
	if !slices.Equal(old.Category, now.Category) {
		p.Category = &old.Category
	}
	if old.ActivityStatus != now.ActivityStatus {
		p.ActivityStatus = &old.ActivityStatus
	}
	if published != now.ViewCount {
		p.ViewCount = &published
	}
	return p
}

// lastSeen returns the latest moment at which the room is known to have been
// seen. A room without a mark was on a page of the newest complete sweep, so
// after its begin.
func (k Known) lastSeen(lastComplete time.Time) time.Time {
	if k.Room.Hidden {
		return k.SeenAt // no sweep shows it
	}
	if k.Missing.First > 0 {
		return later(k.SeenAt, k.Missing.LastSeen)
	}
	return later(k.SeenAt, lastComplete)
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
