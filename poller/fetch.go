package poller

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v4"

	"roomwatch/diff/retry"
)

const (
	retryFirst   = 250 * time.Millisecond // doubled with every further failure, ±50 %
	retryLongest = 10 * time.Second
	retryBudget  = 30 * time.Second // from the first failure of a page
	retryTell    = 5 * time.Second  // from the first failure of a page until the source counts as failing
	throttleMore = 2 * time.Second  // the pause after a throttle is longer by this
)

// errForbidden means that a request was kept back: somebody else may be watching.
var errForbidden = errors.New("no request may be made now")

// A fetcher gets one answer, whatever it takes.
type fetcher struct {
	client *client
	signer *Signer
	quota  *quota
	count  func(outcome string, took time.Duration) // called with each request
	health *health                                  // told when the service throttles
	budget time.Duration                            // from the first failure of a request until it is given up
	permit func() error                             // asked before each request
}

// A tally counts what the pages of a sweep took.
type tally struct {
	begin    time.Time // first request sent; zero before
	sent     time.Time // the newest one
	requests int       // tries included
	retries  int
}

// page gets the page at next. Beside what [fetcher.try] tells, its error tells a
// cursor that has grown old.
func (f *fetcher) page(ctx context.Context, next string, t *tally) (a answer, err error) {
	err = f.try(ctx, t, func(sig string) (err error) {
		a, err = f.client.list(ctx, next, sig)
		return err
	})
	return a, stale(err, next)
}

// try makes a request until it succeeds. It retries what may pass, for as long as
// the budget lasts, and returns at once what will not: a configuration that is
// refused (the error wraps [ErrConfig]), and a request that is wrong.
func (f *fetcher) try(ctx context.Context, t *tally, call func(sig string) error) error {
	var pause *backoff.ExponentialBackOff // nil until the first failure
	renewed := false
	for tries := 1; ; tries++ {
		gen, err := f.once(ctx, t, call)
		if err == nil || errors.Is(err, errForbidden) {
			return err
		}
		if classOf(err) == Resign && !renewed && f.signer.renew(gen) {
			renewed = true
			t.retries++
			continue
		}
		var wait time.Duration
		switch err = final(err); classOf(err) {
		case Fatal:
			return f.refused(err, gen)
		case Bug:
			return err
		case Throttle:
			f.health.throttled(f.quota.throttle(t.sent), err)
			wait = throttleMore
		}
		if pause == nil {
			pause = retry.BackOff(retryFirst, retryLongest) // the budget ends them, which counts what a throttle adds too
		}
		if wait = max(wait+pause.NextBackOff(), laterOf(err)); pause.GetElapsedTime()+wait > f.budget {
			return fmt.Errorf("%w (given up after %d tries)", err, tries)
		}
		f.health.retrying(*t, err, pause.GetElapsedTime()+wait > retryTell)
		if retry.Sleep(ctx, wait) != nil {
			return err // the same where err is the end of ctx itself
		}
		t.retries++
	}
}

// once makes one request, when the quota allows it, with the signature whose
// generation it returns.
func (f *fetcher) once(ctx context.Context, t *tally, call func(sig string) error) (int, error) {
	done, err := f.quota.take(ctx)
	if err != nil {
		return 0, err
	}
	defer done()
	if err := f.permit(); err != nil {
		return 0, fmt.Errorf("%w: %w", errForbidden, err)
	}
	f.health.rate(f.quota.rate(), f.quota.full)
	sig, gen, err := f.signer.current()
	if err != nil {
		return gen, err
	}
	begin := time.Now()
	if t.begin.IsZero() {
		t.begin = begin
	}
	t.requests++
	t.sent = begin
	err = call(sig)
	if after := laterOf(err); after > 0 {
		f.quota.hold(after) // the next request keeps to it too
	}
	if ctx.Err() == nil {
		f.count(outcomeOf(err), time.Since(begin))
	}
	return gen, err
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
