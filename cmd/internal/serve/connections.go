package serve

import (
	"net"
	"net/http"
	"sync"
	"time"
)

// MaxConnections is how many may be open.
const MaxConnections = 256

// connections bounds how many connections are open. Where one is too many, the
// one that has been silent for longest makes room, so that who comes with a
// request is answered however many others only hold a socket. It is the
// ConnState of an [http.Server].
type connections struct {
	mu   sync.Mutex
	open map[net.Conn]time.Time // since when it has been silent; zero while it asks or is answered
}

func (c *connections) changed(conn net.Conn, s http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch s {
	case http.StateNew:
		if len(c.open) >= MaxConnections && !c.makeRoom() {
			_ = conn.Close() // all the others are busy, each for a bounded time
			return
		}
		c.open[conn] = time.Now()
	case http.StateActive, http.StateIdle:
		if _, ok := c.open[conn]; !ok {
			return // it had to make room
		}
		c.open[conn] = time.Time{}
		if s == http.StateIdle {
			c.open[conn] = time.Now()
		}
	case http.StateClosed, http.StateHijacked:
		delete(c.open, conn)
	}
}

// makeRoom closes the connection that has been silent for longest, if one is.
func (c *connections) makeRoom() bool {
	var oldest net.Conn
	for conn, since := range c.open {
		if !since.IsZero() && (oldest == nil || since.Before(c.open[oldest])) {
			oldest = conn
		}
	}
	if oldest == nil {
		return false
	}
	delete(c.open, oldest)
	_ = oldest.Close() // its goroutine finds that out, and ends
	return true
}

// bodyless refuses requests with a body. Nobody waits for what is left of it:
// net/http would, for as long as the client likes, to use the connection again.
func bodyless(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength == 0 {
			h.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Connection", "close")
		if err := http.NewResponseController(w).SetReadDeadline(time.Now()); err != nil {
			panic(http.ErrAbortHandler) // closes the connection: without a deadline it could be held
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			h.ServeHTTP(w, r) // which has the better reason to refuse it
			return
		}
		Refuse(w, http.StatusBadRequest, "the request has a body: everything here is only to be read; send none")
	})
}
