package poller

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	vendorRate  = 10 // requests in any window of vendorWindow, the vendor's limit
	vendorSpan  = time.Second
	defaultRate = 9.5              // leaves room for a second caller's single requests
	climbStep   = 30 * time.Second // a tenth of the full rate comes back in each
)

// A quota lets requests out one by one and not too fast.
//
// Requests are spaced by a token bucket of one token that starts empty: a
// process that was killed a moment ago may have used the second that is running.
//
// Spacing at our end alone proves nothing at the other: a request that is held
// up on its way arrives close to those behind it. So, for rates up to ten a
// second, request k+10 leaves no earlier than one second after request k was
// answered or given up. Request k arrived before that moment and request k+10
// arrives after it leaves, so no eleven requests arrive within one second,
// whatever the network does. The price is 1/(1+latency) of the rate once the
// latency is over 53 ms.
//
// At these rates the first request leaves a second after the quota was made, too:
// a process that ended a moment ago may have used the second that is running.
//
// The limit of the proof: a request that was given up unanswered may still be on
// its way, and arrive as the eleventh.
type quota struct {
	born  time.Time
	turn  chan struct{} // holds one element while a request is out
	lim   *rate.Limiter
	full  float64
	ended [vendorRate]time.Time // when each of the last requests was over; used by who has the turn
	sent  int

	mu        sync.Mutex
	lowered   float64   // the rate set by the last throttle
	throttled time.Time // when that was; zero while the rate is full
	held      time.Time // no request leaves before; the service asked for it
}

func newQuota(perSecond float64) *quota {
	q := &quota{born: time.Now(), turn: make(chan struct{}, 1), lim: rate.NewLimiter(rate.Limit(perSecond), 1), full: perSecond}
	q.lim.Allow()
	return q
}

// take waits until a request may leave. The caller calls done when the request
// was answered or given up; until then no other one leaves.
func (q *quota) take(ctx context.Context) (done func(), err error) {
	select {
	case q.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for the quota: %w", ctx.Err())
	}
	if err := q.wait(ctx); err != nil {
		<-q.turn
		return nil, fmt.Errorf("wait for the quota: %w", err)
	}
	return func() {
		q.ended[q.sent%vendorRate] = time.Now()
		q.sent++
		<-q.turn
	}, nil
}

func (q *quota) wait(ctx context.Context) error {
	if err := sleep(ctx, time.Until(q.heldUntil())); err != nil {
		return err
	}
	if q.full <= vendorRate {
		before := q.born
		if q.sent >= vendorRate {
			before = q.ended[q.sent%vendorRate]
		}
		if err := sleep(ctx, time.Until(before.Add(vendorSpan))); err != nil {
			return err
		}
	}
	q.lim.SetLimit(rate.Limit(q.rate()))
	r := q.lim.Reserve() // not Wait, which refuses at once what a deadline may cut
	if err := sleep(ctx, r.Delay()); err != nil {
		r.Cancel()
		return err
	}
	return nil
}

// throttle halves the rate, down to a tenth of the full one, and returns what it is now.
func (q *quota) throttle() float64 {
	now := q.rate()
	q.mu.Lock()
	defer q.mu.Unlock()
	q.lowered, q.throttled = max(now/2, q.full/10), time.Now()
	return q.lowered
}

// hold lets no request out for d.
func (q *quota) hold(d time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.held = time.Now().Add(d)
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

// sleep waits for d, or until ctx is done and then returns its error.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
