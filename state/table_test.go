package state

import (
	"errors"
	"fmt"
	"maps"
	"testing"

	"go.etcd.io/bbolt"
	"pgregory.net/rapid"

	"roomwatch/diff"
)

// RoomIDs that share a hash are found, replaced and removed as others are, and
// each is settled only as it is known itself.
func TestRoomTableCollisions(t *testing.T) {
	s := open(t, newPath(t))
	s.db.NoSync = true
	rapid.Check(t, func(rt *rapid.T) {
		tx, err := s.db.Begin(true)
		if err != nil {
			rt.Fatal(err)
		}
		defer func() { _ = tx.Rollback() }() // each check begins with the empty file
		index := newRoomIndex()
		index.hash = func(id string) uint64 { return uint64(id[0]) % 3 }
		table := newRoomTable(tx, index)
		want := map[string]string{}
		settled := map[string]diff.Room{}
		for range rapid.IntRange(1, 100).Draw(rt, "steps") {
			id := rapid.StringMatching("[a-h]").Draw(rt, "id")
			record := fmt.Sprint(rapid.Int().Draw(rt, "record"))
			k := diff.Known{Room: diff.Room{RoomID: id, ViewCount: rapid.Int64Range(0, 3).Draw(rt, "views")}, Published: 1}
			key, _ := table.find(id)
			delete(settled, id)
			var err error
			switch {
			case key == nil:
				err = table.insert(k, []byte(record))
				want[id] = record
			case rapid.Bool().Draw(rt, "remove"):
				err = table.remove(key)
				delete(want, id)
			default:
				err = table.replace(key, k, []byte(record))
				want[id] = record
			}
			if want[id] != "" && k.Room.ViewCount == 1 {
				settled[id] = k.Room
			}
			if err != nil {
				rt.Fatal(err)
			}
			got := map[string]string{}
			for c := range byte(8) {
				id := string('a' + c)
				if _, record := table.find(id); record != nil {
					got[id] = string(record)
				}
				for views := range int64(4) {
					r := diff.Room{RoomID: id, ViewCount: views}
					if known, ok := settled[id]; index.settled(r, 0) != (ok && known.ViewCount == views) {
						rt.Fatalf("room %s with %d views is settled: %t", id, views, index.settled(r, 0))
					}
				}
			}
			if !maps.Equal(got, want) {
				rt.Fatalf("found %v, want %v", got, want)
			}
		}
		again := newRoomIndex()
		again.hash = index.hash
		if err := again.load(tx); err != nil {
			rt.Fatal(err)
		}
		table.index = again
		for id := range want {
			if _, record := table.find(id); string(record) != want[id] {
				rt.Fatalf("loaded anew, room %s is %q, want %q", id, record, want[id])
			}
		}
	})
}

// A room keeps its number when it changes, so that a list in the order of its
// first sweep is written in that order ever after.
func TestRoomKeepsItsNumber(t *testing.T) {
	s := open(t, newPath(t))
	number := func(id string) (n []byte) {
		t.Helper()
		if err := s.db.View(func(tx *bbolt.Tx) error {
			table := newRoomTable(tx, s.index)
			key, _ := table.find(id)
			n = append(n, key...)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return n
	}
	commit(t, s, page(t, 0, "z@1=1 a@1=1"))
	first := string(number("a"))
	if string(number("z")) > first {
		t.Error("the room that was seen first does not lie first")
	}
	commit(t, s, page(t, 1, "a@1=2 z@1=2"), page(t, 2, "a@5=2"))
	if string(number("a")) != first {
		t.Error("a room that changed and was made again has another number")
	}
}

// A room is settled as soon as it is committed, until something else is known of
// it; a store that was opened again, or whose commit failed, looks once more.
func TestSettled(t *testing.T) {
	s := open(t, newPath(t))
	room := diff.Room{RoomID: "a", CreateTime: 1, RoomName: "n", OwnerAccount: "o", CoverURL: "c", Category: []int64{1, 2}, ActivityStatus: 3, ViewCount: 4}
	shown := func() diff.Page { return diff.Page{At: second(1), Rooms: []diff.Room{room}} }
	expect := func(what string, want bool) {
		t.Helper()
		if got := s.index.settled(room, 0); got != want {
			t.Errorf("%s: settled is %t", what, got)
		}
	}
	expect("not known", false)
	commit(t, s, shown())
	expect("known", true)
	for name, change := range map[string]func(*diff.Room){
		"another RoomID":        func(r *diff.Room) { r.RoomID = "b" },
		"another life":          func(r *diff.Room) { r.CreateTime++ },
		"another name":          func(r *diff.Room) { r.RoomName, r.OwnerAccount = "no", "" },
		"another owner":         func(r *diff.Room) { r.OwnerAccount = "p" },
		"another cover":         func(r *diff.Room) { r.CoverURL = "" },
		"another category":      func(r *diff.Room) { r.Category = []int64{2, 1} },
		"fewer categories":      func(r *diff.Room) { r.Category = []int64{1} },
		"another status":        func(r *diff.Room) { r.ActivityStatus++ },
		"another count":         func(r *diff.Room) { r.ViewCount++ },
		"status and count swap": func(r *diff.Room) { r.ActivityStatus, r.ViewCount = r.ViewCount, r.ActivityStatus },
	} {
		other := room
		if change(&other); s.index.settled(other, 0) {
			t.Errorf("%s: it is settled", name)
		}
	}

	sweep(t, s, 2, "")
	expect("missed by a sweep", false)
	commit(t, s, shown())
	expect("back again", true)

	s = reopen(t, s)
	expect("opened again", false)
	commit(t, s, shown())
	expect("seen once more", true)

	s.commit = func(*bbolt.Tx) error { return errDisk }
	room.ViewCount++
	if err := s.Commit(shown()); !errors.Is(err, errDisk) {
		t.Fatalf("Commit = %v, want the disk's error", err)
	}
	s.commit = (*bbolt.Tx).Commit
	commit(t, s, diff.Page{At: second(2)})
	expect("not in the file", false)
	commit(t, s, shown())
	expect("written at last", true)
}
