package state

import (
	"fmt"
	"maps"
	"testing"

	"go.etcd.io/bbolt"
	"pgregory.net/rapid"
)

// RoomIDs that share a hash are found, replaced and removed as others are.
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
		for range rapid.IntRange(1, 100).Draw(rt, "steps") {
			id := rapid.StringMatching("[a-h]").Draw(rt, "id")
			record := fmt.Sprint(rapid.Int().Draw(rt, "record"))
			key, _ := table.find(id)
			var err error
			switch {
			case key == nil:
				err = table.insert(id, []byte(record))
				want[id] = record
			case rapid.Bool().Draw(rt, "remove"):
				err = table.remove(key)
				delete(want, id)
			default:
				err = table.replace(key, []byte(record))
				want[id] = record
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
