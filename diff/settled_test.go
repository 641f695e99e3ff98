package diff

import (
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// The sight of a settled room as it is changes nothing, whatever the policy and
// whenever the page was read.
func TestSightOfASettledRoom(t *testing.T) {
	instant := rapid.Custom(func(t *rapid.T) time.Time {
		return time.Unix(rapid.Int64Range(0, 1000).Draw(t, "seconds"), 0).UTC()
	})
	rapid.Check(t, func(t *rapid.T) {
		count := rapid.Int64Range(0, 3)
		k := Known{
			Room: Room{
				RoomID: "r", CreateTime: rapid.Int64Range(0, 3).Draw(t, "created"), RoomName: rapid.SampledFrom([]string{"", "x"}).Draw(t, "name"),
				Category: rapid.SampledFrom([][]int64{nil, {}, {1, 2}}).Draw(t, "category"), ViewCount: count.Draw(t, "views"),
			},
			Version: 3, Published: count.Draw(t, "published"),
			CountedAt: instant.Draw(t, "counted"), SeenAt: instant.Draw(t, "seen"), EqualAt: instant.Draw(t, "equal"),
			Missing: Missing{First: rapid.Uint64Range(0, 2).Draw(t, "missing")},
		}
		p := Policy{
			Publish: Types(), MinChange: count.Draw(t, "change"), MinPercent: float64(count.Draw(t, "percent")),
			MinInterval: time.Duration(count.Draw(t, "interval")) * time.Second,
		}
		end := RecentEnd{CreateTime: rapid.Int64Range(0, 3).Draw(t, "ended"), Told: instant.Draw(t, "told"), Sweep: 4}
		at := instant.Draw(t, "at")
		l := Look{At: at, Wall: instant.Draw(t, "wall"), Sweep: 4, Begin: instant.Draw(t, "begin"), LastComplete: instant.Draw(t, "complete")}
		s := p.See(&k, end, k.Room, l, 3)
		s.Known.EqualAt = k.EqualAt // means nothing while the count is the published one
		changes := s.Changed || s.Stale || s.Missed > 0 || len(s.Events) > 0 || !reflect.DeepEqual(s.Known, k)
		if k.Settled() && changes {
			t.Fatalf("a settled room %+v: %+v", k, s)
		}
		if k.Missing.First > 0 && !changes {
			t.Fatalf("a missing room %+v: the sight changes nothing", k)
		}
	})
}
