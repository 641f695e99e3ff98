package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

const (
	// embeddedName tells the server of a roomwatch from any other.
	embeddedName = "roomwatch-embedded"
	// embeddedReady bounds the start of the embedded server: it reads its store first.
	embeddedReady = 30 * time.Second
)

// An embedded is a JetStream server in this process, on the loopback interface
// alone. Every write is synced to the disk before it is acknowledged.
type embedded struct {
	dir      string
	log      *slog.Logger
	patience time.Duration // see tend

	mu    sync.Mutex
	port  int
	srv   *server.Server // nil while there is none, between a stop and a start
	lines *natsLog       // of srv
}

// startEmbedded starts the server on the files under dir. Port 0 is any free one.
func startEmbedded(dir string, port int, log *slog.Logger) (*embedded, error) {
	e := &embedded{dir: filepath.Join(dir, "nats"), log: log, patience: embeddedPatience, port: port}
	if port == 0 {
		e.port = server.RANDOM_PORT
	}
	return e, e.start()
}

// start starts the server, on the port that it had before.
func (e *embedded) start() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	s, err := server.NewServer(&server.Options{
		ServerName: embeddedName,
		Host:       "127.0.0.1",
		Port:       e.port,
		JetStream:  true,
		StoreDir:   e.dir,
		SyncAlways: true,
		NoSigs:     true, // signals are roomwatch's own
	})
	if err != nil {
		return fmt.Errorf("start embedded nats-server: %w", err)
	}
	l := &natsLog{log: e.log, fatal: make(chan string, 1)}
	s.SetLoggerV2(l, false, false, false)
	s.Start()
	if err := l.ready(s); err != nil {
		s.Shutdown()
		s.WaitForShutdown()
		return fmt.Errorf("start embedded nats-server on 127.0.0.1:%d: %w; %s", e.port, err, e.mend(err))
	}
	e.srv, e.lines = s, l
	if addr, ok := s.Addr().(*net.TCPAddr); ok {
		e.port = addr.Port
	}
	return nil
}

// mend says what helps a server that does not start.
func (e *embedded) mend(err error) string {
	if strings.Contains(err.Error(), "listening on port") {
		return "if another program has the port, set ROOMWATCH_NATS_PORT to a free one, or NATS_URL to use the server that runs there"
	}
	return fmt.Sprintf("see that %s can be made and written to and that its disk has room; ROOMWATCH_DATA_DIR says where it is", e.dir)
}

// ready waits until the server takes connections, or says why it never will.
func (l *natsLog) ready(s *server.Server) error {
	for end := time.Now().Add(embeddedReady); time.Now().Before(end); {
		select {
		case text := <-l.fatal:
			return errors.New(text)
		default:
		}
		if s.ReadyForConnections(50 * time.Millisecond) {
			return nil
		}
	}
	return fmt.Errorf("it took no connections within %s", embeddedReady)
}

// InProcessConn implements [nats.InProcessConnProvider]: clients of a server that
// was started anew find it again.
func (e *embedded) InProcessConn() (net.Conn, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.srv == nil {
		return nil, errors.New("the embedded nats-server is down")
	}
	return e.srv.InProcessConn()
}

// url is where other programs of this machine find the server.
func (e *embedded) url() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return fmt.Sprintf("nats://127.0.0.1:%d", e.port)
}

// stop stops the server, if there is one.
func (e *embedded) stop() {
	e.mu.Lock()
	s := e.srv
	e.srv = nil
	e.mu.Unlock()
	if s != nil {
		s.Shutdown()
		s.WaitForShutdown()
	}
}
