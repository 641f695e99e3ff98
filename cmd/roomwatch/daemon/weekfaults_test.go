package daemon

import (
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"time"

	"roomwatch/poller/simulator"
)

// faults is what goes wrong with the service now.
type faults struct {
	list, info atomic.Pointer[func(n int, r *http.Request) *simulator.Fault] // nil: nothing
	stale      atomic.Pointer[simulator.List]                                // the list is read from this copy; nil: as it is
}

func (f *faults) ofList(n int, r *http.Request) *simulator.Fault {
	if fault := f.list.Load(); fault != nil {
		if got := (*fault)(n, r); got != nil {
			return got
		}
	}
	if list := f.stale.Load(); list != nil {
		return &simulator.Fault{List: list}
	}
	return nil
}

func (f *faults) ofInfo(n int, r *http.Request) *simulator.Fault {
	if fault := f.info.Load(); fault != nil {
		return (*fault)(n, r)
	}
	return nil
}

// clear lets the service be right again.
func (f *faults) clear() {
	f.list.Store(nil)
	f.info.Store(nil)
	f.stale.Store(nil)
}

// anyFault is every fault of one request that is no lie: it cannot be taken for an
// answer that shows fewer rooms.
func anyFault() []simulator.Fault {
	return []simulator.Fault{
		{ErrorCode: 100001}, {ErrorCode: 100001}, {ErrorCode: 60011}, {ErrorCode: 70001}, {ErrorCode: 100002}, {ErrorCode: 999999},
		{Status: http.StatusBadGateway}, {Status: http.StatusServiceUnavailable}, {Status: http.StatusTooManyRequests},
		{Drop: true}, {CutBody: true}, {Body: []byte("{}")}, {Body: []byte(`{"ActionStatus":"OK","ErrorCode":0,"Response":{}}`)},
		{Hang: time.Second}, {Hang: 10 * time.Second}, {LoopNext: true},
	}
}

// someFaults draws a few kinds of faults, of which a share of the requests has one.
func someFaults(rng *rand.Rand, share float64) func(n int, r *http.Request) *simulator.Fault {
	all := anyFault()
	rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return simulator.Random(rng.Uint64(), share, all[:1+rng.IntN(4)]...)
}

// cursorsDie refuses a share of the requests that have a Next. Which they are is
// seen from their length alone: the body is for the service to read.
func cursorsDie(seed uint64, share float64) func(n int, r *http.Request) *simulator.Fault {
	dies := simulator.Random(seed, share, simulator.Fault{ErrorCode: 100002})
	return func(n int, r *http.Request) *simulator.Fault {
		if r.ContentLength <= int64(len(`{"Next":"","Count":20}`)) {
			return nil
		}
		return dies(n, r)
	}
}
