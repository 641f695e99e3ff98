package rules_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"roomwatch/cmd/roomnotify/rules"
	"roomwatch/diff"
	"roomwatch/publisher"
	"roomwatch/publisher/events"
)

// A milestone is derived from every event that has the count: what roomwatch decides of a
// random life, encoded and decoded as on the stream, crosses each milestone between the
// count of one event and that of the next, whatever type they have, and no other.
func TestMilestonesOfALife(t *testing.T) {
	r := rule(t, "milestones: [100, 250, 500, 1000]")
	by := map[events.Type]int{} // milestones that events of a type have crossed
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 1))
		p := diff.DefaultPolicy()
		p.Publish = []diff.Type{diff.RoomCreated, diff.RoomEnded, diff.RoomUpdated, diff.RoomHidden, diff.RoomShown}
		if seed%3 == 0 {
			p.Publish = diff.Types()
			p.MinChange = 1 + random.Int64N(200) // else a count of its own always comes first
		}
		var told int64 // the count of the newest event
		var count rules.Count
		judge := func(list []diff.Event) {
			for i, d := range list {
				d.ID, d.Seq = fmt.Sprintf("01JD3ZK8V6Q4-%016d", d.Version), d.Version
				e, err := events.Decode(publisher.Encode(88888888, d))
				if err != nil {
					t.Fatalf("event %d: %v", i, err)
				}
				now := e.Data.Room.ViewCount
				var want []int64
				for _, m := range r.Milestones {
					if told < m && m <= now {
						want = append(want, m)
					}
				}
				if got := r.Judge(e, e.Time, count).Milestones; !slices.Equal(got, want) {
					t.Fatalf("seed %d: %s from %d to %d: %v, want %v", seed, e.Type, told, now, got, want)
				}
				by[e.Type] += len(want)
				told, count = now, rules.Count{Views: now, Known: true}
			}
		}
		at := noon
		room := diff.Room{RoomID: "a", RoomName: "n", OwnerAccount: "o", CreateTime: noon.Unix() - 60, ViewCount: random.Int64N(150)}
		look := func(read bool) diff.Look {
			at = at.Add(time.Second)
			return diff.Look{At: at, Wall: at, Sweep: 1, Begin: at, Read: read, LastComplete: at.Add(-time.Minute)}
		}
		s := p.See(nil, diff.RecentEnd{}, room, look(false), 1)
		judge(s.Events)
		for range 30 {
			room.ViewCount += random.Int64N(80)
			read := false
			switch random.IntN(4) {
			case 0: // a read says whether the list shows it
				room.Hidden, read = !room.Hidden, true
			case 1:
				room.RoomName = fmt.Sprint(random.Uint32())
			}
			known := s.Known
			s = p.See(&known, diff.RecentEnd{}, room, look(read), 1)
			judge(s.Events)
		}
		judge(p.End(s.Known, look(false).At, at.Add(-time.Second), 1))
	}
	for _, kind := range events.Types() {
		if by[kind] == 0 {
			t.Errorf("no %s crosses a milestone: the lives are too dull (%v)", kind, by)
		}
	}
}
