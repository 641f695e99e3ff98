package simulator

import (
	"context"
	"math/rand/v2"
	"net/http"
	"time"
)

// A Fault is what goes wrong with one request. The zero Fault is none. Several
// fields may be set: Hang comes first, then Drop; then Body, ErrorCode and
// Status, in this order, decide what the body is and each of them spares the
// request all checks; CutBody applies to whatever is answered.
type Fault struct {
	Hang time.Duration // wait so long before anything else, or until the request's context ends: then there is no answer
	Drop bool          // close the connection without an answer: panics with http.ErrAbortHandler, as net/http asks for

	Body      []byte // answer these bytes; nil: none
	ErrorCode int    // answer FAIL with this code; 0: none
	Status    int    // the HTTP status; with neither Body nor ErrorCode an HTML page goes with it; 0: 200
	CutBody   bool   // announce the whole body, send half of it

	List      *List // read the page from this copy instead of the present list, see Service.List; nil: the present one
	EmptyList bool  // answer OK, no rooms, and an empty Next: the list looks empty from here on
	CutList   int   // answer the page with so many rooms at most and an empty Next: the list seems to end there; 0: whole
	LoopNext  bool  // answer the Next of the request; for the first page one that leads to the first page again, for ever
}

// Random returns a Config.Fault that makes one of the faults, all equally
// likely, in the given share of requests (rate is between 0 and 1). The n-th
// request has the same fate with every Service. No faults given means none made.
func Random(seed uint64, rate float64, faults ...Fault) func(n int, r *http.Request) *Fault {
	return func(n int, _ *http.Request) *Fault {
		rng := rand.New(rand.NewPCG(seed, uint64(n)))
		if len(faults) == 0 || rng.Float64() >= rate {
			return nil
		}
		return new(faults[rng.IntN(len(faults))])
	}
}

// faultOf returns what goes wrong with the n-th request.
func faultOf(fault func(n int, r *http.Request) *Fault, n int, r *http.Request) Fault {
	if fault == nil {
		return Fault{}
	}
	if f := fault(n, r); f != nil {
		return *f
	}
	return Fault{}
}

// hang waits and reports whether the client is still there.
func (f Fault) hang(ctx context.Context) bool {
	if f.Hang <= 0 {
		return true
	}
	timer := time.NewTimer(f.Hang)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// body returns what is answered in place of a page, or nil if it is a page.
func (f Fault) body(n int, seed uint64) []byte {
	switch {
	case f.Body != nil:
		return f.Body
	case f.ErrorCode != 0:
		return encode(n, seed, code(f.ErrorCode), nil)
	case f.Status != 0:
		return []byte("<html><body><h1>" + http.StatusText(f.Status) + "</h1></body></html>\n")
	}
	return nil
}
