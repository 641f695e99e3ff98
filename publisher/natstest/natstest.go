// Package natstest runs a real JetStream server inside a synctest bubble, so
// that tests can take it away for an hour and still finish at once.
package natstest

import (
	"errors"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats-server/v2/server/ats"
	"github.com/nats-io/nats.go"
)

var keepATS sync.Once

// Run runs f in a bubble with a server that is up. The test must not be
// parallel, and f must stop everything it started.
//
// Two globals of NATS would tie a bubble to the world outside it. The server's
// access-time goroutine waits on a package channel, so we start it here, before
// any bubble, and never stop it. The client keeps timers in a sync.Pool, and a
// timer is fatal on the other side of a bubble's wall, so we empty the pool
// before and after.
func Run(t *testing.T, f func(t *testing.T, s *Server)) {
	t.Helper()
	keepATS.Do(ats.Register)
	emptyPools()
	defer emptyPools()
	synctest.Test(t, func(t *testing.T) {
		s := &Server{t: t, dir: t.TempDir()}
		s.Up()
		defer func() {
			s.Down()
			time.Sleep(time.Second) // the server's last goroutines end on their own
		}()
		f(t, s)
	})
}

// emptyPools empties every sync.Pool: the first collection sets its content
// aside, the second one drops it.
func emptyPools() {
	runtime.GC()
	runtime.GC()
}

// A Server is a JetStream server with file storage and no sockets.
type Server struct {
	t   *testing.T
	dir string
	max int32 // payload; 0: the server's default
	srv atomic.Pointer[server.Server]
	tap atomic.Pointer[func(net.Conn) (net.Conn, error)]

	mu    sync.Mutex
	conns []net.Conn // of clients, made since the last Up
}

// Up starts the server on the files it had before.
func (s *Server) Up() {
	s.t.Helper()
	srv, err := server.NewServer(s.options())
	if err != nil {
		s.t.Fatal(err)
	}
	srv.Start()
	if !srv.ReadyForConnections(10 * time.Second) {
		s.t.Fatal("nats-server is not ready")
	}
	s.srv.Store(srv)
}

func (s *Server) options() *server.Options {
	return &server.Options{JetStream: true, StoreDir: s.dir, DontListen: true, NoSigs: true, NoLog: true, MaxPayload: s.max}
}

// MaxPayload changes the server's limit in its configuration and lets it read
// that again. A client that is connected does not hear of it.
func (s *Server) MaxPayload(limit int32) {
	s.t.Helper()
	s.max = limit
	if err := s.srv.Load().ReloadOptions(s.options()); err != nil {
		s.t.Fatal(err)
	}
}

// Down cuts the clients off, whatever is on its way, and stops the server. Down
// of a stopped server does nothing.
//
// The server sleeps with a mutex held while it stops, and for whoever waits for a
// mutex the bubble's clock stands still, forever. So what it was just doing for a
// client comes to an end first. A connection that it was just about to greet it
// would leave open, and the client waits for that with a mutex held, too.
func (s *Server) Down() {
	s.mu.Lock()
	srv, conns := s.srv.Swap(nil), s.conns
	s.conns = nil
	s.mu.Unlock()
	if srv == nil {
		return
	}
	for _, c := range conns {
		_ = c.Close()
	}
	synctest.Wait()
	srv.Shutdown()
	srv.WaitForShutdown()
}

// Tap puts f between the server and each connection that is made from now on.
// It should refuse a connection rather than let it hang: the client holds a
// mutex while it reconnects, and the bubble's clock stands still for a mutex.
func (s *Server) Tap(f func(net.Conn) (net.Conn, error)) { s.tap.Store(&f) }

// InProcessConn lets a Server be the argument of [nats.InProcessServer]; the
// client reconnects through it after each [Server.Up].
func (s *Server) InProcessConn() (net.Conn, error) {
	conn, err := s.conn()
	if tap := s.tap.Load(); tap != nil && err == nil {
		return (*tap)(conn)
	}
	return conn, err
}

func (s *Server) conn() (net.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	srv := s.srv.Load()
	if srv == nil {
		return nil, errors.New("natstest: server is down")
	}
	conn, err := srv.InProcessConn()
	if err == nil {
		s.conns = append(s.conns, conn)
	}
	return conn, err
}

// Connect returns a client that never gives up and closes it at the end of the
// bubble. It works while the server is down, too.
func (s *Server) Connect() *nats.Conn {
	s.t.Helper()
	nc, err := nats.Connect("", nats.InProcessServer(s), nats.MaxReconnects(-1), nats.ReconnectBufSize(-1), nats.RetryOnFailedConnect(true))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(nc.Close)
	return nc
}
