package daemon

import (
	"time"

	"roomwatch/cmd/internal/display"
	"roomwatch/cmd/roomwatch/web"
	"roomwatch/publisher"
	"roomwatch/publisher/lease"
)

// role is what this process is now.
func (d *Daemon) role() string {
	switch {
	case d.lease == nil, d.tenure.denied.Load() != nil, d.tenure.now.Load() != nil:
		return web.RoleWriter
	case d.lease.Status().Standing:
		return web.RoleStandby
	}
	return web.RoleStarting
}

// writes is 1 for the writer, as metrics have it.
func (d *Daemon) writes() float64 {
	if d.role() == web.RoleWriter {
		return 1
	}
	return 0
}

// showRole says who writes, who stands by, and how far that is.
func (d *Daemon) showRole(s *web.Status, pub publisher.Status) {
	s.Role = d.role()
	if by := pub.Writer; by.Instance != "" || by.Host != "" {
		s.Writer = &web.Writer{
			Instance: by.Instance, Host: by.Host, Version: by.Version, Since: web.Time{Time: by.Since}, Term: by.Term,
			Self: by.Instance == d.pub.Instance(),
		}
	}
	if f := pub.Following; !f.Since.IsZero() {
		s.Standby = &web.Following{Since: web.Time{Time: f.Since}, CaughtUp: f.CaughtUp, Behind: f.Behind, Newest: web.Time{Time: f.At}}
	}
	if d.lease == nil {
		return
	}
	l := d.lease.Status()
	s.Lease = &web.Lease{Duration: d.cfg.Lease.Seconds(), Term: l.Term, Held: l.Held, Since: web.Time{Time: l.Since}, Standbys: []web.Standby{}}
	for _, o := range l.Standbys {
		s.Lease.Standbys = append(s.Lease.Standbys, web.Standby(o))
	}
	if l.Error != nil {
		s.Lease.LastError = &web.Lasting{Since: web.Time{Time: l.ErrorAt}, Text: l.Error.Error()}
	}
}

// leaseConditions says what is wrong with the lease, and with a process that does not
// write.
func (d *Daemon) leaseConditions(now time.Time, s *web.Status) []web.Condition {
	if d.lease == nil {
		return nil
	}
	if err := d.tenure.denied.Load(); err != nil {
		return condition(web.Degraded, "lease", "grant what the error names and restart roomwatch, or set ROOMWATCH_LEASE=0s",
			"no other roomwatch can stand by: %v", *err)
	}
	l := d.lease.Status()
	switch {
	case l.Error != nil && now.Sub(l.ErrorAt) > d.cfg.Lease:
		return condition(web.Degraded, "lease", "check the stream KV_"+lease.Bucket+" in NATS; it is tried again all the time",
			"the lease cannot be read or renewed since %s: %v", stamp(l.ErrorAt), l.Error)
	case s.Role == web.RoleStarting:
		return condition(web.Failing, "lease", "wait", "whether this process is the writer is not known yet")
	case s.Standby != nil && !s.Standby.CaughtUp:
		return condition(web.Failing, "standby", "wait: the stream is read from its last event of each room on",
			"this process stands by and has not read all of the stream yet: %s", behind(s.Standby.Behind))
	}
	return nil
}

func behind(messages uint64) string {
	if messages == 0 {
		return "it has just begun"
	}
	return display.Count(messages, "message is", "messages are") + " left"
}
