package lease

import (
	"context"
	"errors"
	"time"
)

// An announcement is the value of a standby. Later builds add fields.
type announcement struct {
	Instance string `json:"instance"`
	Host     string `json:"host"`
	Version  string `json:"version"`
	Since    string `json:"since"` // its own clock; for people
	Beat     uint64 `json:"beat"`  // one more with each renewal
	Behind   uint64 `json:"behind"`
	CaughtUp bool   `json:"caught_up"`
}

// An announcer keeps the announcement of this process.
type announcer struct {
	l        *Lease
	value    announcement
	revision uint64
	stands   time.Time // since when it stands without a gap; zero: it does not stand
	next     time.Time // when it is to be renewed
}

// renew writes the announcement if it is time.
func (a *announcer) renew(ctx context.Context) error {
	if time.Now().Before(a.next) {
		return nil
	}
	began := time.Now()
	if a.value.Instance == "" {
		a.value = announcement{Instance: a.l.c.Instance, Host: a.l.c.Host, Version: a.l.c.Version, Since: stamp(began)}
	}
	a.value.Beat++
	a.value.Behind, a.value.CaughtUp = a.l.c.Behind()
	ctx, cancel := context.WithTimeout(ctx, a.l.patience())
	defer cancel()
	revision, err := a.l.store.write(ctx, a.l.store.standbyKey(a.value.Instance), a.value, a.revision)
	switch {
	case errors.Is(err, errStale): // the holder has removed it, or an earlier write was not answered
		return a.find(ctx)
	case err != nil:
		return err
	}
	if a.stands.IsZero() {
		a.stands = began
	}
	a.revision, a.next = revision, began.Add(a.l.c.Duration/beats)
	return nil
}

// find reads what stands in the place of the announcement.
func (a *announcer) find(ctx context.Context) error {
	v, err := a.l.store.standby(ctx, a.value.Instance)
	if err != nil {
		return err
	}
	if v.removed || v.revision == 0 || v.value.Instance != a.value.Instance {
		a.stands = time.Time{}
	}
	a.revision = v.revision
	return nil
}

// age returns for how long the holder could have heard of this process.
func (a *announcer) age() time.Duration {
	if a.stands.IsZero() {
		return 0
	}
	return time.Since(a.stands)
}

// end takes the announcement away.
func (a *announcer) end(ctx context.Context) {
	if a.revision == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), min(a.l.patience(), time.Second))
	defer cancel()
	_ = a.l.store.remove(ctx, a.l.store.standbyKey(a.value.Instance), a.revision) // it goes by itself later
	a.revision, a.stands = 0, time.Time{}
}
