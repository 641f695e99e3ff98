package daemon

import (
	"net/http"
	"testing"
	"time"

	"roomwatch/poller/simulator"
)

// Where no point read is answered, rooms end as by sweeps alone: two sweeps later at most, until it shows that all
// reads fail and none is on its way, and where they hang so much later as hanging reads are waited for.
func TestFailingReadsHoldNothingUp(t *testing.T) {
	world := manyEnds{rooms: 400, over: 20, sweepsAlone: true}
	alone := world.play(t)
	world.sweepsAlone = false
	const waited = 10 * time.Second
	for name, tt := range map[string]struct {
		fault simulator.Fault
		held  time.Duration
	}{
		"fails":     {simulator.Fault{ErrorCode: 100001}, 0},
		"refused":   {simulator.Fault{ErrorCode: 60010}, 0},
		"not found": {simulator.Fault{Status: http.StatusNotFound}, 0},
		"cut":       {simulator.Fault{CutBody: true}, 0},
		"hangs":     {simulator.Fault{Hang: time.Minute}, waited},
	} {
		t.Run(name, func(t *testing.T) {
			world.infoFault = func(int, *http.Request) *simulator.Fault { return &tt.fault }
			took, held := world.play(t), tt.held+2*world.sweep()+time.Second // with probes
			t.Logf("the last end was told after %s, by sweeps alone after %s", latest(took), latest(alone))
			for id, d := range took {
				if d > alone[id]+held {
					t.Errorf("%s: told after %s, by sweeps alone after %s", id, d, alone[id])
				}
			}
		})
	}
}
