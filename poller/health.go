package poller

import (
	"errors"
	"log/slog"
	"sync"
	"time"
)

// A Status is what the poller knows about itself at one moment. Its times have
// a monotonic reading, so ages are right when the clock is set.
type Status struct {
	Sweep        *Report // the sweep in progress, its End the last answer so far; nil between sweeps
	LastComplete *Report // nil if no sweep was complete yet

	LastFailure  Failure   // of the newest sweep that was not complete, or is held up; zero if there was none
	FailingSince time.Time // first such failure after the last complete sweep; zero while sweeps complete

	Refused           Failure // the configuration is refused, since when and why; zero if it is not
	ReadsRefused      Failure // point reads are refused, since when and why; zero if they are not
	RequestsPerSecond float64 // allowed at present

	Probes *ProbeStatus // nil: none are made
}

// A Report is what one sweep found and what it took.
type Report struct {
	Begin, End   time.Time // first request sent; last answer read, or when it broke off
	Pages        int
	Rooms        int // different lives
	Requests     int // retries included
	Retries      int
	Duplicates   int // rows that showed a life for the second time
	UnusableRows int
}

// A Failure is an error and when it came.
type Failure struct {
	Err error
	At  time.Time
}

// health keeps the status, and logs where a condition changes: what an operator
// wants to be told once, not with every request.
type health struct {
	log *slog.Logger

	mu      sync.Mutex
	status  Status
	lowered bool // the rate is below the configured one
}

func (h *health) snapshot() Status {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.status
}

// progress notes the sweep in progress; nil: there is none.
func (h *health) progress(r *Report) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.status.Sweep = r
}

// accepted notes that the service has answered a request.
func (h *health) accepted() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.status.Refused.Err == nil {
		return
	}
	h.log.Info("configuration accepted", "after", time.Since(h.status.Refused.At))
	h.status.Refused = Failure{}
}

// complete notes a complete sweep.
func (h *health) complete(r Report) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if since := h.status.FailingSince; !since.IsZero() {
		h.log.Info("sweeps recovered", "after", time.Since(since), "rooms", r.Rooms)
	}
	if h.status.LastComplete == nil { // or nothing would tell a quiet start from a stuck one
		h.log.Info("first sweep complete", "took", r.End.Sub(r.Begin), "pages", r.Pages, "rooms", r.Rooms)
	}
	h.status.LastComplete = &r
	h.status.FailingSince = time.Time{}
}

// retrying notes that a page of the sweep in progress is going to be tried again,
// and, if that goes on for long, that the source is failing: who looks at the log
// need not wait until the sweep is given up.
func (h *health) retrying(t tally, err error, long bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if r := h.status.Sweep; r != nil {
		now := *r // whoever has the old one may be reading it
		now.Requests, now.Retries = t.requests, t.retries
		h.status.Sweep = &now
	}
	if long {
		h.failing(err)
	}
}

// failed notes a sweep that is not complete, and why.
func (h *health) failed(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !errors.Is(err, ErrConfig) {
		h.failing(err)
		return
	}
	now := time.Now()
	h.status.LastFailure = Failure{Err: err, At: now}
	if h.status.FailingSince.IsZero() {
		h.status.FailingSince = now
	}
	if h.status.Refused.Err == nil {
		h.status.Refused.At = now
		h.log.Error("configuration refused", "error", err, "next", refusedPause, "request_id", requestID(err), "fix", RefusedFix)
	}
	h.status.Refused.Err = err
}

// failing notes that sweeps do not complete; it logs the change. mu is held.
func (h *health) failing(err error) {
	now := time.Now()
	h.status.LastFailure = Failure{Err: err, At: now}
	if h.status.FailingSince.IsZero() {
		h.status.FailingSince = now
		attrs := []any{"error", err, "request_id", requestID(err)}
		if hint := Hint(err); hint != "" {
			attrs = append(attrs, "fix", hint)
		}
		if errors.Is(err, ErrSink) {
			h.log.Warn("state file cannot be written", attrs...)
		} else {
			h.log.Warn("sweeps fail", attrs...)
		}
	}
}

// throttled notes that the service asks for fewer requests.
func (h *health) throttled(perSecond float64, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.lowered {
		h.log.Warn("throttled by the service", "rate", perSecond, "error", err, "request_id", requestID(err),
			"fix", "other callers of the SDKAppID share its limit; lower the rate of one of them if this comes again")
	}
	h.lowered = true
}

// rate notes the rate in force.
func (h *health) rate(perSecond, full float64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.lowered && perSecond >= full {
		h.lowered = false
		h.log.Info("full rate restored", "rate", perSecond)
	}
}

// requestID returns that by which the vendor's support finds the request; empty
// if the service did not answer.
func requestID(err error) string {
	if e, ok := errors.AsType[*APIError](err); ok {
		return e.RequestID
	}
	return ""
}
