package state

import (
	"math"
	"testing"

	"roomwatch/diff"
)

// A room that a read proves live and public after a complete sweep has missed it counts
// against that sweep; one that is hidden does not, and is in no tally of later sweeps.
func TestRecallOfSweeps(t *testing.T) {
	for _, tt := range []struct {
		outcome diff.Outcome
		misses  float64
		last    float64 // rooms in the tally of the last sweep
	}{{diff.Live, 2, 3}, {diff.Hidden, 1, 2}} {
		s, _ := openReading(t)
		if s.Status().Recall != nil {
			t.Error("a recall before the first complete sweep")
		}
		whole(t, s, 0, "a@1=0 b@1=0 c@1=0")
		whole(t, s, 10, "a@1=0")
		heard(t, s, 13, tt.outcome, diff.Room{RoomID: "b", CreateTime: 1})
		heard(t, s, 13, diff.Live, diff.Room{RoomID: "c", CreateTime: 1})
		looks := (3*0.99 + 3) * 0.99
		if r := s.Status().Recall; r == nil || math.Abs(*r-(1-tt.misses/looks)) > 1e-9 {
			t.Errorf("%s: recall %v", tt.outcome, r)
		}
		whole(t, s, 20, "a@1=0")
		if r := s.Status().Recall; r == nil || math.Abs(*r-(1-tt.misses*0.99/((looks+tt.last)*0.99))) > 1e-9 {
			t.Errorf("%s, a sweep later: recall %v", tt.outcome, r)
		}
	}
}
