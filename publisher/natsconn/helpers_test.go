package natsconn

import (
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"roomwatch/publisher/natstest"
)

// serve starts a server on a port of its own.
func serve(t testing.TB, edit func(*server.Options)) *server.Server { return natstest.Start(t, edit) }

type logged struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// pass lets time go by in a bubble, until all is quiet.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}
