package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"roomwatch/cmd/roomnotify/form"
	"roomwatch/diff/retry"
)

const (
	retryFirst = time.Second
	retryMax   = 30 * time.Second // also the longest that a target may ask for while its notifications wait in memory
)

var (
	errStopping = errors.New("roomnotify stops")
	errUnready  = errors.New("target is not ready") // down or throttled: the notification waits in the store
)

// attempt tries a notification until the target takes it (nil), it is to be a
// dead letter (a permanent [form.Refusal]), the target is down or throttled
// (errUnready), or roomnotify stops (errStopping).
func (g *target) attempt(ctx context.Context, n form.Notification) error {
	pauses := retry.BackOff(retryFirst, retryMax)
	for try := 1; ; try++ {
		err := g.once(ctx, n)
		no, failed := errors.AsType[*form.Refusal](err)
		switch {
		case !failed || no.Permanent:
			return err
		case no.Busy:
			return fmt.Errorf("%w: throttled: %s", errUnready, no.Text)
		case g.condition() == down:
			return fmt.Errorf("%w: %s", errUnready, no.Text) // another notification has used up the tries
		case try >= g.t.MaxTries() || no.After > retryMax:
			g.goDown(ctx, no, try)
			return fmt.Errorf("%w: after %d tries: %s", errUnready, try, no.Text)
		}
		g.log.DebugContext(ctx, "notification will be retried", "id", n.ID, "try", try, "error", no.Text)
		if !g.sleep(ctx, max(pauses.NextBackOff(), no.After)) {
			return errStopping
		}
	}
}

// once makes one request, in the pace of the target and only if it may be tried,
// and notes what its answer says of the target. It returns nil, a
// [form.Refusal], errUnready or errStopping.
//
// A notification that was answered is not sent again, so that a store that is
// away makes nobody hear the same news twice.
func (g *target) once(ctx context.Context, n form.Notification) error {
	if known, no := g.answer(n.ID); known {
		if no != nil {
			return no
		}
		return nil
	}
	asked := g.now()
	if !g.sleep(ctx, g.pace.ReserveN(asked, 1).DelayFrom(asked)) {
		return errStopping
	}
	if why := g.unready(g.now()); why != "" { // perhaps by the answer to another notification, a moment ago
		return fmt.Errorf("%w: %s", errUnready, why)
	}
	began := g.now()
	err := g.send(ctx, n)
	g.log.DebugContext(ctx, "delivery attempt", "id", n.ID, "rule", n.Rule, "took", g.now().Sub(began), "error", err)
	if err == nil {
		g.took(ctx, n, began)
		return nil
	}
	if ctx.Err() != nil {
		return errStopping // the answer was not waited for
	}
	no, ok := errors.AsType[*form.Refusal](err)
	if !ok {
		no = &form.Refusal{Text: err.Error()} // unreachable: send returns refusals
	}
	g.heed(no)
	if no.Busy {
		g.tally.throttled.Inc()
		g.throttle(ctx, no)
		return no
	}
	if !no.Permanent {
		g.tally.failed.Inc()
	}
	if no.Permanent {
		g.answers(ctx, refusing, no.Text, began)
	} else if tries, alone := g.fails(n); alone {
		no = &form.Refusal{Text: fmt.Sprintf("failed %d times, while others were accepted: %s", tries, no.Text), Permanent: true}
		g.log.ErrorContext(ctx, "dead letter", "id", n.ID, "reason", no.Text, "fix", "see why the target refused it, then run `roomnotify resend` or `roomnotify dead drop`")
	}
	if no.Permanent {
		g.mu.Lock()
		g.answered.Put(n.ID, no)
		delete(g.failing, n.ID)
		g.mu.Unlock()
	}
	return no
}

// took notes that a notification was taken by a request that began at a time.
func (g *target) took(ctx context.Context, n form.Notification, began time.Time) {
	g.mu.Lock()
	g.answered.Put(n.ID, nil)
	delete(g.failing, n.ID)
	if began.After(g.taken) {
		g.taken = began
	}
	g.mu.Unlock()
	g.tally.sent.Inc()
	if n.Event != nil {
		g.tally.delivery.Observe(g.now().Sub(n.Event.Time).Seconds())
	}
	g.answers(ctx, up, "", began)
}

// failures are those of one notification.
type failures struct {
	tries int
	last  time.Time // when the newest was known
}

// maxFailing bounds what is kept of notifications that fail and are removed by
// somebody else.
const maxFailing = 1000

// fails counts a failure. A notification fails alone if its tries are used up
// and another was taken between its last two: then it is not the target that is
// down, and nobody must wait for it.
func (g *target) fails(n form.Notification) (tries int, alone bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f, known := g.failing[n.ID]
	if !known && len(g.failing) >= maxFailing {
		g.forgetOldest()
	}
	f.tries++
	alone = f.tries >= g.t.MaxTries() && f.tries > 1 && !g.taken.Before(f.last)
	f.last = g.now()
	g.failing[n.ID] = f
	return f.tries, alone
}

// forgetOldest forgets the notification that has not failed for the longest; g.mu
// is held.
func (g *target) forgetOldest() {
	var oldest string
	for id, f := range g.failing {
		if oldest == "" || f.last.Before(g.failing[oldest].last) {
			oldest = id
		}
	}
	delete(g.failing, oldest)
}

// answer returns what the target has answered to a notification, if it has: a
// nil refusal means that it took it.
func (g *target) answer(id string) (known bool, no *form.Refusal) {
	g.mu.Lock()
	defer g.mu.Unlock()
	no, known = g.answered.Get(id)
	return known, no
}

// maxAnswers is how many answers of a target are remembered: more than what can
// be between an answer and its being stored.
const maxAnswers = 8192

// sleep reports false if roomnotify stops first.
func (g *target) sleep(ctx context.Context, d time.Duration) bool {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(g.stop, cancel)()
	return g.pause(ctx, d) == nil && g.stop.Err() == nil
}
