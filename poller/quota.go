package poller

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"roomwatch/diff/retry"
)

const (
	vendorRate  = 10  // requests of the list in any window of vendorSpan, the vendor's limit
	readRate    = 200 // the same for point reads
	vendorSpan  = time.Second
	defaultRate = 9.5              // leaves room for a second caller's single requests
	climbStep   = 30 * time.Second // a tenth of the full rate comes back in each
)

// A quota lets requests out one by one and not too fast, and any number of them
// be on their way.
//
// Requests are spaced by a token bucket of one token that starts empty: a
// process that was killed a moment ago may have used the second that is running.
//
// Spacing at our end alone proves nothing at the other: a request that is held
// up on its way arrives close to those behind it. So each request has one of n
// slots, from before it leaves until one second after it was answered or given
// up. All requests that arrive within one second hold their slots at the end of
// that second: they have left by then, and none was over more than a second
// before. So no more than n arrive within one second, whatever the network does
// and whatever overtakes what. The price is 1/(1+latency) of the rate once the
// latency is over n/rate − 1 seconds: 53 ms for the list.
//
// A slot is free one second after the quota was made, too: a process that ended a
// moment ago may have used the second that is running.
//
// The limit of the proof: a request that was given up unanswered may still be on
// its way, and arrive as one too many.
type quota struct {
	lim   *rate.Limiter
	full  float64
	slots chan time.Time // when the last request of each free slot was over; nil: no bound

	mu        sync.Mutex
	lowered   float64   // the rate set by the last throttle
	throttled time.Time // when that was; zero while the rate is full
	held      time.Time // no request leaves before; the service asked for it
}

// listQuota returns the quota of the list. A rate above the vendor's is for load
// tests, and has no bound but the spacing.
func listQuota(perSecond float64) *quota {
	if perSecond > vendorRate {
		return newQuota(perSecond, 0)
	}
	return newQuota(perSecond, vendorRate)
}

// newQuota returns a quota of n slots; 0: no bound.
func newQuota(perSecond float64, n int) *quota {
	q := &quota{lim: rate.NewLimiter(rate.Limit(perSecond), 1), full: perSecond}
	q.lim.Allow()
	if n > 0 {
		q.slots = make(chan time.Time, n)
		for range n {
			q.slots <- time.Now()
		}
	}
	return q
}

// take waits until a request may leave. The caller calls done when the request
// was answered or given up.
func (q *quota) take(ctx context.Context) (done func(), err error) {
	if q.slots == nil {
		if err := q.wait(ctx); err != nil {
			return nil, fmt.Errorf("wait for the quota: %w", err)
		}
		return func() {}, nil
	}
	var over time.Time
	select {
	case over = <-q.slots:
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for the quota: %w", ctx.Err())
	}
	err = retry.Sleep(ctx, time.Until(over.Add(vendorSpan)))
	if err == nil {
		err = q.wait(ctx)
	}
	if err != nil {
		q.slots <- over
		return nil, fmt.Errorf("wait for the quota: %w", err)
	}
	return func() { q.slots <- time.Now() }, nil
}

// wait waits for the spacing, and for what the service has asked for meanwhile.
func (q *quota) wait(ctx context.Context) error {
	for {
		if err := retry.Sleep(ctx, time.Until(q.heldUntil())); err != nil {
			return err
		}
		q.lim.SetLimit(rate.Limit(q.rate()))
		r := q.lim.Reserve() // not Wait, which refuses at once what a deadline may cut
		if err := retry.Sleep(ctx, r.Delay()); err != nil {
			r.Cancel()
			return err
		}
		if time.Until(q.heldUntil()) <= 0 {
			return nil
		}
	}
}

// throttle halves the rate, down to a tenth of the full one, and returns what it is
// now. A request that was sent before the rate was lowered last says nothing of the
// lower one: those that were on their way together count once.
func (q *quota) throttle(sent time.Time) float64 {
	now := q.rate()
	q.mu.Lock()
	defer q.mu.Unlock()
	if sent.Before(q.throttled) {
		return now
	}
	q.lowered, q.throttled = max(now/2, q.full/10), time.Now()
	return q.lowered
}

// hold lets no request out for d.
func (q *quota) hold(d time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if until := time.Now().Add(d); until.After(q.held) {
		q.held = until
	}
}

func (q *quota) heldUntil() time.Time {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.held
}

// rate returns the requests per second in force.
func (q *quota) rate() float64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.throttled.IsZero() {
		return q.full
	}
	steps := int(time.Since(q.throttled) / climbStep)
	now := q.lowered + float64(steps)*q.full/10
	if now >= q.full {
		q.throttled = time.Time{}
		return q.full
	}
	return now
}
