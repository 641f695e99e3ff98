package daemon

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"roomwatch/cmd/internal/program"
	"roomwatch/cmd/roomwatch/config"
	"roomwatch/publisher/lease"
	"roomwatch/state"
)

// A tenure is that of the writer, if this process is it and there is a lease.
type tenure struct {
	now    atomic.Pointer[lease.Tenure]
	denied atomic.Pointer[error] // why there is no lease although it was wanted
}

// mayAsk is asked before each request to the service.
func (t *tenure) mayAsk() error {
	if now := t.now.Load(); now != nil {
		return now.MayAsk()
	}
	return nil
}

// makeLease makes this process's part in the lease, if there is one.
func (d *Daemon) makeLease() {
	if d.cfg.NATSURL == "" || d.cfg.Lease == 0 {
		lease.RegisterNone(d.metrics)
		return
	}
	d.lease = lease.New(lease.Config{
		Conn: d.conn, SDKAppID: d.cfg.SDKAppID, Instance: d.pub.Instance(), Host: d.pub.Host(), Version: program.Version(),
		Duration: d.cfg.Lease, Replicas: d.cfg.StreamReplicas,
		Memory: memory{d.store}, Claim: d.newestClaim, Behind: d.behind, Log: d.log, Metrics: d.metrics,
	})
}

// newestClaim is what the lease has to know of the stream.
func (d *Daemon) newestClaim(ctx context.Context) (lease.Claim, error) {
	w, err := d.pub.NewestClaim(ctx)
	return lease.Claim{Instance: w.Instance, Term: w.Term}, err
}

// behind is how far this process has come as a standby.
func (d *Daemon) behind() (uint64, bool) {
	f := d.pub.Status().Following
	return f.Behind, f.CaughtUp
}

// memory is what the state file remembers of the lease.
type memory struct{ store *state.Store }

func (m memory) Holder() (string, bool, error) {
	h, err := m.store.Holder()
	return h.Process, h.Alone, err
}

func (m memory) SetHolder(process string, alone bool) error {
	return m.store.SetHolder(state.Holder{Process: process, Alone: alone})
}

// takeTurns watches while this process is the writer, and stands by while another one is,
// until ctx is done or a part gives up.
//
//	the lease is lost         what was committed and not stored is let go: who has it
//	                          now finds what still shows
//	it may not be had at all  as if there were none; that is an error at the start only
//	                          where it was asked for
func (d *Daemon) takeTurns(ctx context.Context) error {
	if d.lease == nil {
		return d.watch(ctx, nil)
	}
	for ctx.Err() == nil {
		t, err := d.lease.Acquire(ctx, recoveryWait, d.pub.Follow)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, lease.ErrDenied) && d.cfg.LeaseIsSet():
			return fmt.Errorf("%w: ROOMWATCH_LEASE: %w; allow it (deploy/nats/nats.conf has the permissions), or set ROOMWATCH_LEASE=0s and run a single roomwatch", config.ErrInvalid, err)
		case errors.Is(err, lease.ErrDenied):
			d.tenure.denied.Store(&err)
			d.log.WarnContext(ctx, "lease is not available", "error", err, "fix", "allow the bucket, as in deploy/nats/nats.conf, so that a second roomwatch can stand by; or set ROOMWATCH_LEASE=0s")
			return d.watch(ctx, nil)
		case err != nil:
			return err
		}
		if err := d.serveTenure(ctx, t); err != nil {
			return err
		}
	}
	return nil
}

// serveTenure watches until the tenure is over or ctx is done. The error is that of a part
// that gave up for another reason.
func (d *Daemon) serveTenure(ctx context.Context, t *lease.Tenure) error {
	d.tenure.now.Store(t)
	defer func() {
		release, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseGrace)
		defer cancel()
		t.Release(release)
		d.tenure.now.Store(nil)
	}()
	d.poll.HoldOff()
	watching, stop := context.WithCancel(ctx)
	defer stop()
	defer context.AfterFunc(t.Context(), stop)()
	err := d.watch(watching, t)
	switch cause := context.Cause(t.Context()); {
	case cause != nil && ctx.Err() == nil:
		d.log.WarnContext(ctx, "no longer the writer", "reason", cause)
		return nil
	case errors.Is(err, lease.ErrLost), errors.Is(err, lease.ErrUnreachable):
		return nil
	}
	return err
}
