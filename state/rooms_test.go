package state

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"roomwatch/diff"
)

// oddIDs are RoomIDs that sort, escape or fold in ways of their own.
var oddIDs = []string{"a", "A", "a.b", "ab", "%2E", ".", "..", "/", " ", "直播间", "ÿ", "\x00", "\xff", "zz", "é", "e\u0301", "b", "c", "d", strings.Repeat("x", 48)}

// Whoever turns the pages of a list meets each room that stays, with what it is
// ordered by, exactly once and in its place, whatever comes, goes and moves
// between the pages.
func TestPagesWhileRoomsMove(t *testing.T) {
	orders := []RoomOrder{ByID, ByViews, ByCreated, ByName}
	rapid.Check(t, func(rt *rapid.T) {
		s := open(t, newPath(t))
		w := world{t: t, s: s, rooms: map[string]diff.Room{}}
		ids := rapid.SliceOfNDistinct(rapid.SampledFrom(oddIDs), 0, len(oddIDs), rapid.ID).Draw(rt, "rooms")
		stay := map[string]diff.Room{}
		for i, id := range ids {
			w.rooms[id] = drawRoom(rt, id)
			if i%2 == 0 {
				stay[id] = w.rooms[id]
			}
		}
		w.show()
		q := RoomQuery{
			Order: rapid.SampledFrom(orders).Draw(rt, "order"), Falling: rapid.Bool().Draw(rt, "falling"),
			Limit: rapid.IntRange(1, 7).Draw(rt, "limit"),
		}
		var seen []string
		for pages := 0; ; pages++ {
			rooms, next, err := s.Rooms(t.Context(), q)
			if err != nil || len(rooms) > q.Limit || pages > 40 {
				rt.Fatalf("page %d: %d rooms, %v", pages, len(rooms), err)
			}
			for _, r := range rooms {
				seen = append(seen, r.Room.RoomID)
			}
			if next == nil {
				break
			}
			q.After = next
			for _, id := range rapid.SliceOfN(rapid.SampledFrom(oddIDs), 0, 3).Draw(rt, "moved") {
				if _, ok := stay[id]; ok {
					continue
				}
				delete(w.rooms, id)
				if rapid.Bool().Draw(rt, "live") {
					w.rooms[id] = drawRoom(rt, id)
				}
			}
			w.show()
		}
		seen = slices.DeleteFunc(seen, func(id string) bool { _, ok := stay[id]; return !ok })
		want := slices.Collect(maps.Keys(stay))
		f := front{q: q}
		slices.SortFunc(want, func(a, b string) int { return f.compare(q.Order.Place(stay[a]), q.Order.Place(stay[b])) })
		if !slices.Equal(seen, want) {
			rt.Errorf("the pages showed of those that stayed\n%q, want\n%q", seen, want)
		}
	})
}

func drawRoom(rt *rapid.T, id string) diff.Room {
	return diff.Room{
		RoomID: id, CreateTime: rapid.Int64Range(1, 3).Draw(rt, "created"), ViewCount: rapid.Int64Range(0, 3).Draw(rt, "views"),
		RoomName: rapid.SampledFrom([]string{"", "a", "A", "b", "ü", strings.Repeat("ü", nameOrder)}).Draw(rt, "name"),
	}
}

// A world is what the service lists.
type world struct {
	t     *testing.T
	s     *Store
	rooms map[string]diff.Room
	n     float64
}

// show lets enough sweeps see the world for every absence to be believed.
func (w *world) show() {
	for range mostSweepsOfTest {
		w.n += 10
		p := diff.Page{At: second(w.n + 1), Rooms: slices.Collect(maps.Values(w.rooms))}
		commit(w.t, w.s, p)
		if _, err := w.s.EndSweep(ended(w.n, p)); err != nil {
			w.t.Fatal(err)
		}
	}
}

const mostSweepsOfTest = 10 // as many as the most that an absence can be made to wait for

// The first page of a long list is the front of all of it, and the walk does not
// keep one transaction open: a commit that makes the file grow would wait for it.
func TestLongWalk(t *testing.T) {
	s := open(t, newPath(t))
	p := diff.Page{At: second(1)}
	const n = 4*roomsPerView + 7
	for i := range n {
		p.Rooms = append(p.Rooms, diff.Room{RoomID: fmt.Sprintf("room%04d", i), CreateTime: 1, ViewCount: int64(i * 7919 % n)})
	}
	commit(t, s, p)
	before := s.db.Stats().TxN
	rooms, next, err := s.Rooms(t.Context(), RoomQuery{Order: ByViews, Falling: true, Limit: 3})
	if err != nil || len(rooms) != 3 || next == nil {
		t.Fatalf("%d rooms, next %v, %v", len(rooms), next, err)
	}
	for i, r := range rooms {
		if want := int64(n - 1 - i); r.Room.ViewCount != want {
			t.Errorf("room %d has %d views, want %d", i, r.Room.ViewCount, want)
		}
	}
	if txs := s.db.Stats().TxN - before; txs < 4 {
		t.Errorf("a walk through %d rooms in %d transactions", n, txs)
	}
	looks := 0
	if _, _, err := s.Rooms(t.Context(), RoomQuery{Limit: 1, Match: func(diff.Room) bool { looks++; return false }}); err != nil || looks != n {
		t.Errorf("%d looks at %d rooms, %v", looks, n, err)
	}
	seen := 0
	for q := (RoomQuery{Limit: 200}); ; q.After = next {
		rooms, next, err = s.Rooms(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		seen += len(rooms)
		if next == nil {
			break
		}
	}
	if seen != n {
		t.Errorf("%d rooms on the pages, want %d", seen, n)
	}
}

// The place behind which a list goes on need not be that of a room that is there.
func TestPlacesWithoutARoom(t *testing.T) {
	s := open(t, newPath(t))
	commit(t, s, page(t, 1, "b@1=1 d@1=1"))
	for _, tt := range []struct {
		after   string
		falling bool
		want    string
	}{
		{"a", false, "b d"}, {"b", false, "d"}, {"c", false, "d"}, {"d", false, ""}, {"e", false, ""},
		{"e", true, "d b"}, {"d", true, "b"}, {"c", true, "b"}, {"b", true, ""}, {"a", true, ""},
	} {
		rooms, _, err := s.Rooms(t.Context(), RoomQuery{Falling: tt.falling, After: &RoomPlace{RoomID: tt.after}, Limit: 9})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, r := range rooms {
			got = append(got, r.Room.RoomID)
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("behind %s, falling %t: %q, want %q", tt.after, tt.falling, got, tt.want)
		}
	}
}

// A walk ends with its context, in the middle too.
func TestWalkIsCancelled(t *testing.T) {
	s := open(t, newPath(t))
	p := diff.Page{At: second(1)}
	for i := range 3 * roomsPerView {
		p.Rooms = append(p.Rooms, diff.Room{RoomID: fmt.Sprintf("room%04d", i), CreateTime: 1})
	}
	commit(t, s, p)
	ctx, cancel := context.WithCancel(t.Context())
	looks := 0
	_, _, err := s.Rooms(ctx, RoomQuery{Order: ByViews, Limit: 10, Match: func(diff.Room) bool {
		looks++
		cancel()
		return true
	}})
	if !errors.Is(err, context.Canceled) || looks > roomsPerView {
		t.Errorf("%d looks, %v", looks, err)
	}
}

// What is shown of one room is what is known of it, with the sweeps that missed it.
func TestRoomIsShown(t *testing.T) {
	s := open(t, newPath(t))
	sweep(t, s, 0, "a@1=5/name b@2=7")
	sweep(t, s, 10, "a@1=6/name")
	a, ok, err := s.Room("a")
	if err != nil || !ok || a.Room.ViewCount != 6 || a.Room.RoomName != "name" || a.Version != 2 || a.Missed != 0 || !a.LastSeen.IsZero() {
		t.Errorf("a: %+v, %t, %v", a, ok, err)
	}
	b, ok, err := s.Room("b")
	if err != nil || !ok || b.Missed != 1 || b.LastSeen.Before(second(0)) || b.LastSeen.After(second(3)) {
		t.Errorf("b, missed by one sweep: %+v, %t, %v", b, ok, err)
	}
	rooms, next, err := s.Rooms(t.Context(), RoomQuery{Limit: 2, Match: func(r diff.Room) bool { return r.RoomID == "b" }})
	if err != nil || next != nil || len(rooms) != 1 || rooms[0].Missed != 1 || !rooms[0].LastSeen.Equal(b.LastSeen) {
		t.Errorf("the list of b: %+v, next %v, %v", rooms, next, err)
	}
	if _, ok, err := s.Room("nowhere"); ok || err != nil {
		t.Errorf("a room that is not there: %t, %v", ok, err)
	}
	for _, id := range []string{"", strings.Repeat("x", 1<<16)} {
		if _, ok, err := s.Room(id); ok || err != nil {
			t.Errorf("RoomID of %d bytes: %t, %v", len(id), ok, err)
		}
	}
}

// BenchmarkWalk is a look at all rooms, as each page of a list but by RoomID takes.
func BenchmarkWalk(b *testing.B) {
	s, err := Open(Config{Path: b.TempDir() + "/state.db", SDKAppID: testApp, Policy: diff.DefaultPolicy()})
	if err != nil {
		b.Fatal(err)
	}
	s.db.NoSync = true
	const n = 100_000
	for i := 0; i < n; i += 1000 {
		p := diff.Page{At: second(1)}
		for j := range 1000 {
			p.Rooms = append(p.Rooms, diff.Room{RoomID: fmt.Sprintf("room%06d", i+j), CreateTime: 1, RoomName: "a room with a name", OwnerAccount: "owner", ViewCount: int64((i + j) * 7919 % n)})
		}
		if err := s.Commit(p); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		began := time.Now()
		if _, _, err := s.Rooms(b.Context(), RoomQuery{Order: ByViews, Falling: true, Limit: 50}); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(time.Since(began).Nanoseconds())/n, "ns/room")
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
}

// A room is found before the first page has come after a start.
func TestRoomAfterStart(t *testing.T) {
	s := open(t, newPath(t))
	sweep(t, s, 0, "a@1=5 b@1=2")
	s = reopen(t, s)
	for id, want := range map[string]bool{"a": true, "b": true, "c": false} {
		if _, ok, err := s.Room(id); err != nil || ok != want {
			t.Errorf("Room(%s) = %t, %v, want %t", id, ok, err, want)
		}
	}
}
