package natsconn

import (
	"errors"
	"sync"
)

// errHeld keeps the client from reconnecting; it retries within a second.
var errHeld = errors.New("a message is on its way over the connection before")

// A gate keeps a client from making a new connection while a message is given to
// the one before. Without it the client could exchange them between the look at
// the connection and the write (invariant P3). It is safe for concurrent use.
//
// Nobody waits at a gate: the client dials with its mutex held, and the holder
// asks the client.
type gate struct {
	mu   sync.Mutex
	lost func() // of the holder; nil if there is none
}

// hold closes the gate; lost is called when the connection is lost meanwhile: no
// answer will come then.
func (g *gate) hold(lost func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.lost = lost
}

func (g *gate) release() { g.hold(nil) }

// disconnected is called when the connection is lost.
func (g *gate) disconnected() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.lost != nil {
		g.lost()
	}
}

// pass returns [errHeld] while the gate is held.
func (g *gate) pass() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.lost != nil {
		return errHeld
	}
	return nil
}
