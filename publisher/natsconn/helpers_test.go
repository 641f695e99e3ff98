package natsconn

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"roomwatch/publisher/natstest"
)

// serve starts a server on a port of its own.
func serve(t testing.TB, edit func(*server.Options)) *server.Server { return natstest.Start(t, edit) }

// pass lets time go by in a bubble, until all is quiet.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}
