package poller

import (
	"context"
	"fmt"
	"time"
)

// A Glance is what a single request shows.
type Glance struct {
	Rooms     int  // on the first page
	More      bool // there are further pages
	Unusable  int  // rows that could not be read
	Latency   time.Duration
	RequestID string
}

// Glance makes exactly one request, for the first page, as soon as the quota
// allows it: no retry, no new signature, no sweep. A refusal by the service is
// an [*APIError]; one that only another configuration cures wraps [ErrConfig], one that
// the limit of requests has caused wraps [ErrThrottled].
func (p *Poller) Glance(ctx context.Context) (Glance, error) {
	defer p.fetch.client.close()
	var t tally
	var a answer
	client := p.fetch.client.twin() // a sweep may use the other one
	_, err := p.fetch.once(ctx, &t, func(sig string) (err error) {
		a, err = client.list(ctx, "", sig)
		return err
	})
	if err != nil {
		switch classOf(err) {
		case Fatal:
			err = fmt.Errorf("%w: %w", ErrConfig, err)
		case Throttle:
			err = fmt.Errorf("%w: %w", ErrThrottled, err)
		}
		return Glance{}, err
	}
	return Glance{
		Rooms: len(a.rooms), More: a.next != "", Unusable: a.unusable,
		Latency: a.at.Sub(t.begin), RequestID: a.requestID,
	}, nil
}
