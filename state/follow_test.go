package state

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"roomwatch/diff"
)

// knownRooms lists what a store believes of its rooms.
func knownRooms(t *testing.T, s *Store) string {
	t.Helper()
	rooms, _, err := s.Rooms(t.Context(), RoomQuery{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, r := range rooms {
		fmt.Fprintf(&b, "%s@%d=%d v%d\n", r.Room.RoomID, r.Room.CreateTime, r.Room.ViewCount, r.Version)
	}
	return b.String()
}

// A standby that takes over the events of a writer, in parts of any size, some of them
// twice, with restarts between, knows the same rooms; and it goes on with the numbers.
func TestFollow(t *testing.T) {
	made := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 1))
		writer, standby := open(t, newPath(t)), open(t, newPath(t))
		shown := map[string]string{}
		var n float64
		told := uint64(0)
		for range 30 {
			for range 1 + rng.IntN(4) { // what happens between two sweeps
				id := string(rune('a' + rng.IntN(8)))
				switch {
				case rng.IntN(3) == 0:
					delete(shown, id)
				default:
					shown[id] = fmt.Sprintf("%s@%d=%d", id, 1+rng.IntN(2)+int(n)/100, rng.IntN(9))
				}
			}
			var rows []string
			for _, r := range shown {
				rows = append(rows, r)
			}
			n += 10
			sweep(t, writer, n, strings.Join(rows, " "))
			_, _, assigned := writer.Position()
			events, err := writer.Events(told, 1000)
			if err != nil {
				t.Fatal(err)
			}
			for len(events) > 0 {
				part := events[:1+rng.IntN(len(events))]
				events = events[len(part):]
				told = part[len(part)-1].Seq
				if err := standby.Follow(part, 100+told, made); err != nil {
					t.Fatal(err)
				}
				if rng.IntN(3) == 0 {
					if err := standby.Follow(part, 100+told, made); err != nil {
						t.Fatalf("the same once more: %v", err)
					}
				}
			}
			if rng.IntN(4) == 0 {
				standby = reopen(t, standby)
			}
			checked(t, standby)
			if a, b := knownRooms(t, writer), knownRooms(t, standby); a != b {
				t.Fatalf("seed %d: the writer knows\n%s the standby\n%s", seed, a, b)
			}
			if err := writer.Stored(assigned); err != nil {
				t.Fatal(err)
			}
			if a, b := position(writer), position(standby); a != b {
				t.Fatalf("seed %d: the writer is at %s, the standby at %s", seed, a, b)
			}
		}
		if at, since := standby.Followed(); at != 100+told || !since.Equal(made) {
			t.Errorf("it has followed to %d of the stream of %v", at, since)
		}
		// It takes over: what both would tell of the next sweep is the same.
		sweep(t, writer, n+10, "a@900=1 z@900=2")
		sweep(t, standby, n+10, "a@900=1 z@900=2")
		_, stored, _ := writer.Position()
		if a, b := createdRooms(t, writer, stored), createdRooms(t, standby, stored); a != b {
			t.Errorf("seed %d: the writer tells %s, the standby %s", seed, a, b)
		}
	}
}

// createdRooms lists which rooms waiting events create.
func createdRooms(t *testing.T, s *Store, after uint64) string {
	t.Helper()
	events, err := s.Events(after, 1000)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, e := range events {
		if e.Type == diff.RoomCreated {
			ids = append(ids, fmt.Sprintf("%d %s", e.Seq-after, e.Room.RoomID))
		}
	}
	return strings.Join(ids, ", ")
}

// Events with a gap before them, and those that come while events of its own wait, are
// refused, and nothing of them is in the file.
func TestFollowGap(t *testing.T) {
	made := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
	events := history(t)
	s := open(t, newPath(t))
	if err := s.Follow(events[:2], 2, made); err != nil {
		t.Fatal(err)
	}
	before := knownRooms(t, s)
	for name, bad := range map[string][]diff.Event{
		"one is missing":              events[3:],
		"the middle of another epoch": {other(events[2], 7)},
	} {
		if err := s.Follow(bad, 9, made); !errors.Is(err, diff.ErrGap) {
			t.Errorf("%s: %v", name, err)
		}
		if at, _ := s.Followed(); at != 2 || knownRooms(t, s) != before {
			t.Errorf("%s: followed to %d, knows\n%s", name, at, knownRooms(t, s))
		}
	}
	if err := s.Follow([]diff.Event{other(events[2], 1)}, 3, made); err != nil {
		t.Errorf("the first of another epoch: %v", err)
	}
	sweep(t, s, 100, "x@99=1")
	if err := s.Follow([]diff.Event{other(events[2], 2)}, 4, made); !errors.Is(err, diff.ErrGap) {
		t.Errorf("while events wait: %v", err)
	}
	checked(t, s)
}

// other is an event as another epoch has it.
func other(e diff.Event, seq uint64) diff.Event {
	e.ID, e.Seq = eventID("01OTHEREPOCH", seq), seq
	return e
}

// After a rebuild the events that follow the last one are taken over, and the epoch is
// the one of the stream again.
func TestFollowAfterRebuild(t *testing.T) {
	made := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
	events := history(t)
	s := open(t, newPath(t))
	n := len(events) - 2
	if err := s.Rebuild(events[n-1], time.Time{}, stream(events[:n], nil)); err != nil {
		t.Fatal(err)
	}
	if err := s.Follow(nil, 50, made); err != nil {
		t.Fatal(err)
	}
	if err := s.Follow(events[n:], 52, made); err != nil {
		t.Fatal(err)
	}
	whole := open(t, newPath(t))
	if err := whole.Follow(events, 52, made); err != nil {
		t.Fatal(err)
	}
	if a, b := knownRooms(t, whole), knownRooms(t, s); a != b || position(whole) != position(s) {
		t.Errorf("from the start %s\n%s after a rebuild %s\n%s", position(whole), a, position(s), b)
	}
	checked(t, s)
}

// A room that the writer's sweeps have missed is none that misses of this process: the
// writer may have seen it since.
func TestFollowForgetsMisses(t *testing.T) {
	made := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
	s := open(t, newPath(t))
	sweep(t, s, 0, "a@1=5 b@1=0")
	sweep(t, s, 10, "a@1=5")
	if st := s.Status(); st.Missing != 1 {
		t.Fatalf("%d missing", st.Missing)
	}
	_, _, assigned := s.Position()
	if err := s.Stored(assigned); err != nil {
		t.Fatal(err)
	}
	if err := s.Follow(nil, 10, made); err != nil {
		t.Fatal(err)
	}
	if st := s.Status(); st.Missing != 0 || st.Rooms != 2 {
		t.Errorf("%d missing of %d", st.Missing, st.Rooms)
	}
	checked(t, s)
	believes(t, s, 20, "a@1=5", "")
}

// The name of the process survives a rebuild that was cut short.
func TestHolder(t *testing.T) {
	s := open(t, newPath(t))
	if h, err := s.Holder(); err != nil || h != (Holder{Alone: true}) {
		t.Errorf("of a new file: %+v, %v", h, err)
	}
	want := Holder{Process: "p1"}
	if err := s.SetHolder(want); err != nil {
		t.Fatal(err)
	}
	events := history(t)
	_ = s.Rebuild(events[0], time.Time{}, stream(events[:1], errors.New("cut")))
	s = reopen(t, s)
	if h, err := s.Holder(); err != nil || h != want {
		t.Errorf("after a rebuild that failed: %+v, %v", h, err)
	}
}
