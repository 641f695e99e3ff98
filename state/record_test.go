package state

import (
	"math"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"roomwatch/diff"
)

func newTestEncoder(t testing.TB) *encoder {
	t.Helper()
	e, err := newEncoder()
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func ptr[T any](v T) *T { return &v }

// The first of these records have every field, the last ones none.
var (
	testRooms = []diff.Known{
		{
			Room:    diff.Room{RoomID: "r", CreateTime: 1693271354, RoomName: "n", OwnerAccount: "o", CoverURL: "c", Category: []int64{1, -2, math.MaxInt64}, ActivityStatus: -1, ViewCount: 7},
			Version: 3, Published: 6, CountedAt: second(1), SeenAt: second(2), EqualAt: second(3),
		},
		{Room: diff.Room{RoomID: "r", CreateTime: math.MinInt64, RoomName: "\xff日\x00", ViewCount: math.MaxInt64}, Version: math.MaxUint64, Published: math.MinInt64},
		{Room: diff.Room{RoomID: "r"}},
	}
	testEvents = []diff.Event{
		{
			Type: diff.RoomUpdated, Room: testRooms[0].Room, Since: second(1), Time: second(2), Version: 9, Baseline: true, Sweep: 4,
			Previous: diff.Previous{
				RoomName: ptr("m"), OwnerAccount: ptr(""), CoverURL: ptr("d"), Category: ptr([]int64{4}), ActivityStatus: ptr(int64(0)), ViewCount: ptr(int64(0)),
			},
		},
		{Type: diff.RoomUpdated, Room: testRooms[2].Room, Time: second(2), Version: 1, Previous: diff.Previous{Category: ptr([]int64{})}},
		{Type: diff.RoomEnded, Room: testRooms[1].Room, Time: second(2), Version: 2},
		{},
	}
	testMarks = []diff.Missing{{First: 3, LastSeen: second(1)}, {First: math.MaxUint64}, {}}
)

// What is written is read back, field by field.
func TestRecords(t *testing.T) {
	enc := newTestEncoder(t)
	for _, want := range testRooms {
		v, err := enc.room(want)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := decodeRoom("r", v); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("room %+v, %v, want %+v", got, err, want)
		}
		if at, err := created(v); err != nil || at != want.Room.CreateTime {
			t.Errorf("created %d, %v, want %d", at, err, want.Room.CreateTime)
		}
	}
	for _, want := range testEvents {
		v, err := enc.encodeEvent(want)
		if err != nil {
			t.Fatal(err)
		}
		want.ID, want.Seq = "E-0000000000000012", 12
		if got, err := decodeEvent("E", 12, v); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("event %+v, %v, want %+v", got, err, want)
		}
	}
	for _, want := range testMarks {
		v, err := encodeMark(want)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := decodeMark("r", v); err != nil || got != want {
			t.Errorf("mark %+v, %v, want %+v", got, err, want)
		}
	}
}

// The numbers of the counters are their names on disk.
func TestCountersOnDisk(t *testing.T) {
	want := counters{
		Seq: 1, Rooms: 2, Missing: 3, Sweep: 4, Time: 5, BaselineDone: true, Complete: 7,
		Begin: 8, End: 9, Doubted: 10, Misses: 11, Looks: 12,
	}
	var got counters
	err := decode.Unmarshal([]byte("\xac\x01\x01\x02\x02\x03\x03\x04\x04\x05\x05\x06\xf5\x07\x07\x08\x08\x09\x09\x0a\x0a\x0b\x0b\x0c\x0c"), &got)
	if err != nil || got != want {
		t.Errorf("counters %+v, %v, want %+v", got, err, want)
	}
}

// FuzzRecords checks that decoding never panics, and that whatever decodes
// encodes to something that decodes to the same.
func FuzzRecords(f *testing.F) {
	enc := newTestEncoder(f)
	add := func(v []byte, err error) {
		if err != nil {
			f.Fatal(err)
		}
		f.Add(v)
	}
	for _, k := range testRooms {
		add(enc.room(k))
	}
	for _, e := range testEvents {
		add(enc.encodeEvent(e))
	}
	for _, m := range testMarks {
		add(encodeMark(m))
	}
	f.Add([]byte(nil))
	f.Add([]byte("\x00\x00\x00\x00\x00\x00\x00\x01\x01\xf6\xf6"))
	f.Add([]byte("\xa1\x18\x63\x01")) // a field of a later version
	f.Fuzz(func(t *testing.T, v []byte) {
		enc := newTestEncoder(t)
		if k, err := decodeRoom("r", v); err == nil {
			again, err := enc.room(k)
			if err != nil {
				t.Fatalf("room %+v does not encode: %v", k, err)
			}
			got, err := decodeRoom("r", again)
			if err != nil || !same(got, k) {
				t.Errorf("room %+v came back as %+v, %v", k, got, err)
			}
		}
		if e, err := decodeEvent("E", 1, v); err == nil {
			again, err := enc.encodeEvent(e)
			if err != nil {
				t.Fatalf("event %+v does not encode: %v", e, err)
			}
			got, err := decodeEvent("E", 1, again)
			if err != nil || !same(got, e) {
				t.Errorf("event %+v came back as %+v, %v", e, got, err)
			}
		}
		if m, err := decodeMark("r", v); err == nil {
			again, err := encodeMark(m)
			if err != nil {
				t.Fatalf("mark %+v does not encode: %v", m, err)
			}
			if got, err := decodeMark("r", again); err != nil || got != m {
				t.Errorf("mark %+v came back as %+v, %v", m, got, err)
			}
		}
	})
}

// same compares values in which an empty Category and none are the same.
func same(a, b any) bool {
	norm := func(v any) any {
		switch v := v.(type) {
		case diff.Known:
			if len(v.Room.Category) == 0 {
				v.Room.Category = nil
			}
			return v
		case diff.Event:
			if len(v.Room.Category) == 0 {
				v.Room.Category = nil
			}
			return v
		}
		return v
	}
	return reflect.DeepEqual(norm(a), norm(b))
}

// golden is a state of format 1. Later versions have to read it for ever: do not
// make it anew.
const golden = "testdata/format1.db"

// goldenPolicy publishes everything and holds small changes back, so that every
// field of every record is in the file.
func goldenPolicy() diff.Policy {
	p := diff.DefaultPolicy()
	p.Publish, p.MinChange = diff.Types(), 10
	return p
}

func TestMakeGolden(t *testing.T) {
	if _, err := os.Stat(golden); err == nil {
		t.Skip("there is one")
	}
	s := open(t, newPath(t), goldenPolicy())
	room := diff.Room{RoomID: "a b.c>日", CreateTime: 1693271354, RoomName: "n", OwnerAccount: "o", CoverURL: "c", Category: []int64{1, 2, 3}, ActivityStatus: 1, ViewCount: 1000}
	gone := diff.Room{RoomID: "gone", CreateTime: 5}
	show := func(n float64, rooms ...diff.Room) {
		p := diff.Page{At: second(n + 1), Rooms: rooms}
		commit(t, s, p)
		if _, err := s.EndSweep(ended(n, p)); err != nil {
			t.Fatal(err)
		}
	}
	show(0, room, gone)
	if err := s.Stored(1); err != nil {
		t.Fatal(err)
	}
	room.ViewCount = 1010
	show(10, room, gone)
	room.RoomName, room.OwnerAccount, room.CoverURL, room.Category, room.ActivityStatus = "m", "p", "d", nil, 0
	room.ViewCount = 1011
	show(20, room)
	room.ViewCount = 1012
	show(30, room, gone) // a false miss
	show(40, room)
	show(50, room)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(golden), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := copyFile(s.path, golden); err != nil {
		t.Fatal(err)
	}
}

func TestGolden(t *testing.T) {
	path := newPath(t)
	if err := copyFile(golden, path); err != nil {
		t.Fatal(err)
	}
	s := open(t, path, goldenPolicy())
	wantPosition(t, s, "1 of 4")
	wantWaiting(t, s, 0, "2 *gone@5=0, 3 a b.c>日@1693271354:1000→1010, 4 a b.c>日@1693271354/")
	if st := s.Status(); st.Rooms != 2 || st.Missing != 1 || s.counters().Sweep != 6 || !st.LastComplete.Equal(second(52)) || st.MissRate < 0.0009 {
		t.Errorf("status %+v, want 2 rooms, 1 of them missing, 6 sweeps to second 52, a miss", st)
	}
	events, err := s.Events(3, 1)
	if err != nil || len(events) != 1 {
		t.Fatal(events, err)
	}
	epoch, _, _ := s.Position()
	want := diff.Event{
		ID: epoch + "-0000000000000004", Seq: 4, Type: diff.RoomUpdated, Version: 3, Sweep: 3, Since: second(11), Time: second(21),
		Room: diff.Room{RoomID: "a b.c>日", CreateTime: 1693271354, RoomName: "m", OwnerAccount: "p", CoverURL: "d", ViewCount: 1011},
		Previous: diff.Previous{
			RoomName: ptr("n"), OwnerAccount: ptr("o"), CoverURL: ptr("c"), Category: ptr([]int64{1, 2, 3}), ActivityStatus: ptr(int64(1)), ViewCount: ptr(int64(1010)),
		},
	}
	if !reflect.DeepEqual(events[0], want) {
		t.Errorf("event %+v, want %+v", events[0], want)
	}

	// What it believes of its rooms shows in what it tells next: a change that is
	// held back, since when, and when the missing room was last seen.
	room := want.Room
	room.ViewCount = 1021
	commit(t, s, diff.Page{At: second(101), Rooms: []diff.Room{room, {RoomID: "gone", CreateTime: 6}}})
	events, err = s.Events(4, 10)
	if err != nil || len(events) != 3 {
		t.Fatal(events, err)
	}
	for i, want := range []struct {
		show    string
		version uint64
		since   time.Time
	}{
		{"5 a b.c>日@1693271354:1011→1021", 4, second(21)},
		{"6 -gone@5", 2, second(31)},
		{"7 +gone@6=0", 1, time.Unix(6, 0).UTC()},
	} {
		if e := events[i]; show(e) != want.show || e.Version != want.version || !e.Since.Equal(want.since) || e.Sweep != 7 {
			t.Errorf("%s, version %d, since %v, sweep %d; want %+v in sweep 7", show(e), e.Version, e.Since, e.Sweep, want)
		}
	}
}
