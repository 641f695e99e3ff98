package poller

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// longestHold bounds what a Retry-After may ask for: a wrong one must not end the watch.
const longestHold = 2 * time.Minute

// A laterError is an error whose answer says when to ask again.
type laterError struct {
	err   error
	after time.Duration // at most longestHold
}

func (e *laterError) Error() string {
	return fmt.Sprintf("%v (no request for %v, as Retry-After asks)", e.err, e.after)
}
func (e *laterError) Unwrap() error { return e.err }

// later marks an error with what the Retry-After of its answer asks for.
func later(err error, after time.Duration) error {
	if err == nil || after <= 0 {
		return err
	}
	return &laterError{err: err, after: after}
}

// laterOf returns how long the service asks to be left alone, or 0.
func laterOf(err error) time.Duration {
	if e, ok := errors.AsType[*laterError](err); ok {
		return e.after
	}
	return 0
}

// retryAfter reads the header, which has seconds or a date, and bounds it. A
// date is held against the answer's own Date: our clock may be off.
func retryAfter(h http.Header, now time.Time) time.Duration {
	v := strings.TrimSpace(h.Get("Retry-After"))
	if s, err := strconv.ParseFloat(v, 64); err == nil && !math.IsNaN(s) {
		return time.Duration(max(0, min(s, longestHold.Seconds())) * float64(time.Second))
	}
	t, err := http.ParseTime(v)
	if err != nil {
		return 0
	}
	if d, err := http.ParseTime(h.Get("Date")); err == nil {
		now = d
	}
	return max(0, min(t.Sub(now), longestHold)).Round(time.Second)
}
