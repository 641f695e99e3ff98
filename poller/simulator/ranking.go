package simulator

import (
	"slices"
	"sort"
)

// A place is what the order of the list looks at.
type place struct {
	views int64
	id    string
}

// before is the order of the list: more views first, ties by ID. It is total,
// because no two live rooms have one ID.
func (p place) before(o place) bool {
	if p.views != o.views {
		return p.views > o.views
	}
	return p.id < o.id
}

// A ranking is the live rooms in the order of the list. It is kept in order by
// moving the one room that changed: a binary search and a memmove, which beats
// a tree at any size that the API can be read at.
type ranking []*room

// find returns the index of the first room that is not before p: the room at p
// itself if there is one.
func (l ranking) find(p place) int {
	return sort.Search(len(l), func(i int) bool { return !l[i].place().before(p) })
}

func (l *ranking) insert(r *room) { *l = slices.Insert(*l, l.find(r.place()), r) }

func (l *ranking) remove(r *room) {
	i := l.find(r.place())
	*l = slices.Delete(*l, i, i+1)
}

// setViews gives r another view count and its new place.
func (l ranking) setViews(r *room, views int64) {
	from := l.find(r.place())
	r.ViewCount = views
	if to := l[:from].find(r.place()); to < from {
		copy(l[to+1:from+1], l[to:from])
		l[to] = r
		return
	}
	to := from + l[from+1:].find(r.place())
	copy(l[from:to], l[from+1:to+1])
	l[to] = r
}

// clone returns a copy that does not change with the rooms. Categories are
// shared: they are replaced as a whole and never written to.
func (l ranking) clone() ranking {
	c := make(ranking, len(l))
	for i, r := range l {
		c[i] = new(*r)
	}
	return c
}

// rooms copies the rooms in [from, to). Categories are shared, as in clone.
func (l ranking) rooms(from, to int) []Room {
	rooms := make([]Room, 0, to-from)
	for _, r := range l[from:to] {
		rooms = append(rooms, r.Room)
	}
	return rooms
}
