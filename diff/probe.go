package diff

// SeeProbe is [Policy.See] for a probe: a page that was read by a Next of an earlier sweep.
// It can show the list as it is or as it was, and nobody can tell which. So a known life is
// believed to be live where its count has risen, and all else that is not known is for a
// read to find out. The look is that of a read: attributes stay what the sweeps have shown.
func (p Policy) SeeProbe(known *Known, end RecentEnd, r Room, l Look, complete uint64) Sight {
	switch {
	case known == nil:
		return Sight{Stale: true, Ask: end.Told.IsZero() || r.CreateTime >= end.CreateTime}
	case r.CreateTime > known.Room.CreateTime:
		return Sight{Known: *known, Stale: true, Ask: true}
	case r.CreateTime < known.Room.CreateTime, known.Room.Hidden, r.ViewCount <= max(known.Room.ViewCount, known.Published):
		return Sight{Known: *known, Stale: true}
	}
	row := known.Room
	row.ViewCount = r.ViewCount
	l.Read = true
	return p.compare(*known, row, l, complete)
}

// SawProbe notes that a probe has shown rooms. It may be an old copy that shows them, so none of
// them is a room for a control.
func (w *Witnesses) SawProbe(rooms []Room) {
	for _, r := range rooms {
		w.saw(r.RoomID, r.CreateTime)
	}
}

// ShowProbe notes that a probe has shown a known room with a higher count, as
// [Witnesses.Show] does for a read.
func (w *Witnesses) ShowProbe(id string, p Page) { w.Show(Read{RoomID: id, Sent: p.Begin}, true) }
