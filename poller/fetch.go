package poller

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v4"
)

const (
	retryFirst   = 250 * time.Millisecond // doubled with every further failure, ±50 %
	retryLongest = 10 * time.Second
	retryBudget  = 30 * time.Second // from the first failure of a page
	retryTell    = 5 * time.Second  // from the first failure of a page until the source counts as failing
	throttleMore = 2 * time.Second  // the pause after a throttle is longer by this
)

// A fetcher gets one page, whatever it takes.
type fetcher struct {
	client  *client
	signer  *Signer
	quota   *quota
	metrics *metrics
	health  *health // told when the service throttles
}

// A tally counts what the pages of a sweep took.
type tally struct {
	begin    time.Time // first request sent; zero before
	requests int       // tries included
	retries  int
}

// page gets the page at next. It retries what may pass, for up to retryBudget,
// and returns at once what will not: a configuration that is refused (the error
// wraps [ErrConfig]), a request that is wrong, and a stale cursor.
func (f *fetcher) page(ctx context.Context, next string, t *tally) (answer, error) {
	var pause *backoff.ExponentialBackOff // nil until the first failure
	renewed := false
	for tries := 1; ; tries++ {
		a, gen, err := f.once(ctx, next, t)
		if err == nil {
			return a, nil
		}
		if classOf(err) == Resign && !renewed && f.signer.renew(gen) {
			renewed = true
			t.retries++
			continue
		}
		var wait time.Duration
		switch err = final(err); classOf(err) {
		case Fatal:
			return answer{}, f.refused(err, gen)
		case Bug:
			return answer{}, stale(err, next)
		case Throttle:
			f.health.throttled(f.quota.throttle(), err)
			wait = throttleMore
		}
		if pause == nil {
			pause = newBackOff()
		}
		if wait = max(wait+pause.NextBackOff(), laterOf(err)); pause.GetElapsedTime()+wait > retryBudget {
			return answer{}, fmt.Errorf("%w (given up after %d tries)", err, tries)
		}
		f.health.retrying(*t, err, pause.GetElapsedTime()+wait > retryTell)
		if sleep(ctx, wait) != nil {
			return answer{}, err // the same where err is the end of ctx itself
		}
		t.retries++
	}
}

// once makes one request, when the quota allows it, with the signature whose
// generation it returns.
func (f *fetcher) once(ctx context.Context, next string, t *tally) (answer, int, error) {
	done, err := f.quota.take(ctx)
	if err != nil {
		return answer{}, 0, err
	}
	defer done()
	f.health.rate(f.quota.rate(), f.quota.full)
	sig, gen, err := f.signer.current()
	if err != nil {
		return answer{}, gen, err
	}
	begin := time.Now()
	if t.begin.IsZero() {
		t.begin = begin
	}
	t.requests++
	a, err := f.client.list(ctx, next, sig)
	if after := laterOf(err); after > 0 {
		f.quota.hold(after) // the next sweep keeps to it too
	}
	if ctx.Err() == nil {
		f.metrics.request(outcomeOf(err), time.Since(begin))
	}
	return a, gen, err
}

// final gives a refusal that no new signature cures the class that remains.
func final(err error) error {
	if e, ok := errors.AsType[*APIError](err); ok && e.Class == Resign {
		e.Class = ruleOf(e.Code).then
	}
	return err
}

// refused marks an error of the configuration. The next try, which the schedule
// holds back, shall have a new signature where the code asks for one.
func (f *fetcher) refused(err error, gen int) error {
	if e, ok := errors.AsType[*APIError](err); ok && e.Code == codeVerifyRate {
		f.signer.renew(gen)
	}
	return fmt.Errorf("%w: %w", ErrConfig, err)
}

// stale tells a cursor that has grown old from a request that was wrong from
// the start.
func stale(err error, next string) error {
	if e, ok := errors.AsType[*APIError](err); ok && e.Code == codeBadParameter && next != "" {
		return fmt.Errorf("cursor %.64q is stale: %w", next, err)
	}
	return err
}

// newBackOff returns pauses that never end by themselves: the page's budget ends
// them, which counts what a throttle adds too.
func newBackOff() *backoff.ExponentialBackOff {
	return backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(retryFirst),
		backoff.WithMultiplier(2),
		backoff.WithMaxInterval(retryLongest),
		backoff.WithMaxElapsedTime(0),
	)
}
