package daemon

import (
	"bytes"
	"fmt"
	"net"
	"sync/atomic"
)

// A moment is where a process is killed.
type moment int

const (
	anyMoment moment = iota // whatever it is doing
	eventLost               // an event has left it, and has not reached NATS
	eventSent               // an event has reached NATS
	ackLost                 // NATS has stored an event, and the process has not heard of it
	asked                   // a request has reached the service
	answered                // the service has answered it, while the next things happen
	moments                 // how many there are to draw from
	gapTold                 // NATS has stored a watch.resumed, and the process has not heard of it
)

// String names it in the schedule.
func (m moment) String() string {
	return [...]string{"any moment", "event lost", "event sent", "ack lost", "asked", "answered", "", "gap told"}[m]
}

// A crash kills a process when a moment has come for the n-th time.
type crash struct {
	moment moment
	n      atomic.Int64
}

// comes reports whether the moment of the armed crash has come; the caller kills.
func (p *process) comes(m moment) bool {
	c := p.crash.Load()
	return c != nil && c.moment == m && c.n.Add(-1) == 0
}

// arm has the process die at the n-th moment of a kind from now on.
func (p *process) arm(m moment, n int) {
	c := &crash{moment: m}
	c.n.Store(int64(n))
	p.crash.Store(c)
}

// A cable is the connection of a process to NATS.
type cable struct {
	net.Conn
	p     *process
	tells atomic.Bool // a gap is on its way
}

// Write is called for what goes to NATS.
func (c *cable) Write(b []byte) (int, error) {
	if isEvent(b) && c.p.comes(eventLost) {
		c.p.kill()
		return 0, errKilled
	}
	n, err := c.Conn.Write(b)
	if isGap(b) && c.p.comes(gapTold) {
		c.tells.Store(true)
	}
	if isEvent(b) && c.p.comes(eventSent) {
		c.p.kill()
	}
	return n, err
}

// Read is called for what comes from it.
func (c *cable) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if isAck(b[:n]) && (c.p.comes(ackLost) || c.tells.Load()) {
		c.p.kill()
		return 0, errKilled
	}
	return n, err
}

// isEvent reports whether a chunk on its way to the server holds an event.
func isEvent(chunk []byte) bool {
	return bytes.Contains(chunk, []byte("HPUB live.room.")) || bytes.Contains(chunk, []byte("HPUB live.viewcount."))
}

// isGap reports whether a chunk on its way to the server tells of a gap.
func isGap(chunk []byte) bool { return bytes.Contains(chunk, []byte("HPUB live.watch.resumed.")) }

// isAck reports whether a chunk from the server says that the stream has stored something.
func isAck(chunk []byte) bool {
	return bytes.Contains(chunk, fmt.Appendf(nil, "%q:%q", "stream", "LIVE")) && bytes.Contains(chunk, []byte(`"seq":`))
}
