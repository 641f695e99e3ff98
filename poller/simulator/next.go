package simulator

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A Next says where reading goes on after a page. Which one the vendor uses is
// not documented; a client has to be right with each.
type Next int

// The kinds of Next.
const (
	// NextRank counts rooms. Rooms slide while the list is read: one that falls
	// over the edge of the page is seen again, one that rises is missed.
	NextRank Next = iota
	// NextKey is the last ViewCount and RoomID of the page. Only a room that
	// itself rises over the edge is missed.
	NextKey
	// NextFrozen reads on in a copy of the list that was made for the first
	// page. Nothing is missed; all is as old as the first page. The copies of
	// the last 16 first pages are kept, any other Next is refused.
	NextFrozen
)

// maxCopies bounds the memory of NextFrozen.
const maxCopies = 16

// loopNext is the Next that a LoopNext fault gives with the first page: reading
// on there gives the first page again, with this Next again.
const loopNext = "loop"

// A pager cuts pages from the list.
type pager interface {
	// page returns up to count rooms from where next points to, "" being the
	// start, and the Next to go on with, "" being the end. It returns false if
	// it never gave such a next or no longer knows it.
	page(l ranking, next string, count int) (rooms []Room, after string, ok bool)
}

func newPager(n Next) pager {
	switch n {
	case NextKey:
		return byKey{}
	case NextFrozen:
		return new(byCopy)
	default:
		return byRank{}
	}
}

// byRank gives "rank-<rooms before>".
type byRank struct{}

func (byRank) page(l ranking, next string, count int) ([]Room, string, bool) {
	from := 0
	if next != "" {
		var ok bool
		if from, ok = number(strings.CutPrefix(next, "rank-")); !ok || from < 1 {
			return nil, "", false
		}
	}
	from = min(from, len(l)) // the list may have become shorter
	to := min(from+count, len(l))
	if to == len(l) {
		return l.rooms(from, to), "", true
	}
	return l.rooms(from, to), fmt.Sprintf("rank-%d", to), true
}

// byKey gives "key-<ViewCount>-<RoomID in base64>" of the last room.
type byKey struct{}

func (byKey) page(l ranking, next string, count int) ([]Room, string, bool) {
	from := 0
	if next != "" {
		last, ok := parseKey(next)
		if !ok {
			return nil, "", false
		}
		from = l.find(last)
		if from < len(l) && l[from].place() == last {
			from++
		}
	}
	to := min(from+count, len(l))
	if to == len(l) {
		return l.rooms(from, to), "", true
	}
	last := l[to-1].place()
	id := base64.RawURLEncoding.EncodeToString([]byte(last.id))
	return l.rooms(from, to), fmt.Sprintf("key-%d-%s", last.views, id), true
}

func parseKey(next string) (place, bool) {
	rest, ok := strings.CutPrefix(next, "key-")
	views, id, found := strings.Cut(rest, "-")
	n, err := strconv.ParseInt(views, 10, 64)
	raw, err64 := base64.RawURLEncoding.DecodeString(id)
	return place{n, string(raw)}, ok && found && err == nil && err64 == nil
}

// byCopy gives "copy-<number of the copy>-<rooms before>".
type byCopy struct {
	made   int
	copies []listCopy // the one read last comes last
}

type listCopy struct {
	number int
	rooms  []Room
}

func (b *byCopy) page(l ranking, next string, count int) ([]Room, string, bool) {
	from := 0
	if next == "" {
		b.add(l)
	} else {
		var ok bool
		if from, ok = b.seek(next); !ok {
			return nil, "", false
		}
	}
	c := b.copies[len(b.copies)-1]
	to := min(from+count, len(c.rooms))
	if to == len(c.rooms) {
		return c.rooms[from:to], "", true
	}
	return c.rooms[from:to], fmt.Sprintf("copy-%d-%d", c.number, to), true
}

func (b *byCopy) add(l ranking) {
	if len(b.copies) == maxCopies {
		b.copies = slices.Delete(b.copies, 0, 1)
	}
	b.made++
	b.copies = append(b.copies, listCopy{b.made, l.rooms(0, len(l))})
}

// seek moves the copy that next points into to the end, and returns the place
// in it.
func (b *byCopy) seek(next string) (from int, ok bool) {
	rest, ok := strings.CutPrefix(next, "copy-")
	made, offset, found := strings.Cut(rest, "-")
	wanted, ok1 := number(made, ok)
	from, ok2 := number(offset, found)
	i := slices.IndexFunc(b.copies, func(c listCopy) bool { return c.number == wanted })
	if !ok1 || !ok2 || i < 0 || from < 1 || from >= len(b.copies[i].rooms) {
		return 0, false
	}
	c := b.copies[i]
	b.copies = append(slices.Delete(b.copies, i, i+1), c)
	return from, true
}

// number parses what was cut from a Next; ok says that it could be cut.
func number(s string, ok bool) (int, bool) {
	n, err := strconv.Atoi(s)
	return n, ok && err == nil
}
