package events

import (
	"fmt"
	"strings"
	"time"
)

// watch checks a message on a subject of the watch.
func (c *check) watch() []Fault {
	var about About
	var faults func()
	switch rest, _ := strings.CutPrefix(c.m.Subject, c.v.prefix+"."); {
	case strings.HasPrefix(rest, string(WatchAlive)+"."):
		a, err := DecodeAlive(c.m.Body)
		if err != nil {
			c.fault(Undecodable, "%v", err)
			return c.faults
		}
		c.v.sum.Pulses++
		about, faults = a.About, func() {}
	case strings.HasPrefix(rest, string(WatchResumed)+"."):
		r, err := DecodeResumed(c.m.Body)
		if err != nil {
			c.fault(Undecodable, "%v", err)
			return c.faults
		}
		c.v.sum.Gaps++
		about, faults = r.About, func() { c.gap(r) }
	default:
		return nil // of a later version
	}
	c.e.ID = about.ID
	// Two applications can have a gap with one id: the later one has none in its message.
	if c.m.ID != about.ID && (c.m.ID != "" || about.Type != WatchResumed) {
		c.fault(WrongID, "Nats-Msg-Id is %q, the id %q", c.m.ID, about.ID)
	}
	if want := fmt.Sprintf("%s.%s.%d", c.v.prefix, about.Type, about.App()); c.m.Subject != want {
		c.fault(WrongPlace, "it belongs on %s", want)
	}
	faults()
	return c.faults
}

// gap checks a gap against the one before of its application.
func (c *check) gap(r Resumed) {
	before := c.v.gaps[r.Source]
	if before == r.Data {
		c.fault(Doubled, "the gap from %s was reported before", at(r.Data.From))
		return
	}
	if r.Data.From.Before(before.To) {
		c.fault(Backwards, "the gap from %s begins before the end of the one before, %s", at(r.Data.From), at(before.To))
	}
	c.v.gaps[r.Source] = r.Data
}

func at(t time.Time) string { return t.Format(wireTime) }
