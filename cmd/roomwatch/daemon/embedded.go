package daemon

import (
	"context"
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
	// EmbeddedName tells the server of a roomwatch from any other.
	EmbeddedName = "roomwatch-embedded"
	// embeddedReady bounds the start of the embedded server: it reads its store first.
	embeddedReady = 30 * time.Second
	// embeddedGrace bounds, when roomwatch stops, the stop of the server.
	embeddedGrace = 5 * time.Second
)

// An embedded is a JetStream server in this process, on the loopback interface
// alone. Every write is synced to the disk before it is acknowledged.
type embedded struct {
	dir string
	log *slog.Logger

	mu    sync.Mutex
	port  int
	srv   *server.Server // nil while there is none, between a stop and a start
	lines *natsLog       // of srv
}

// startEmbedded starts the server on the files under dir. Port 0 is any free one.
func startEmbedded(ctx context.Context, dir string, port int, log *slog.Logger) (*embedded, error) {
	e := &embedded{dir: filepath.Join(dir, "nats"), log: log, port: port}
	if port == 0 {
		e.port = server.RANDOM_PORT
	}
	return e, e.start(ctx)
}

// start starts the server, on the port that it had before, unless ctx ends
// first. It is not called twice at a time. The mutex is not held while the
// server reads its store, which can take long: what asks for the state of the
// server then hears that it is down.
func (e *embedded) start(ctx context.Context) error {
	s, err := server.NewServer(&server.Options{
		ServerName: EmbeddedName,
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
	started := make(chan struct{})
	go func() {
		s.Start() // returns when its store is read
		close(started)
	}()
	if err := l.ready(ctx, s, started); err != nil {
		giveUp(ctx, s, started)
		return fmt.Errorf("start embedded nats-server on 127.0.0.1:%d: %w; %s", e.port, err, e.fix(err))
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.srv, e.lines = s, l
	if addr, ok := s.Addr().(*net.TCPAddr); ok {
		e.port = addr.Port
	}
	return nil
}

// fix says what helps a server that does not start.
func (e *embedded) fix(err error) string {
	if strings.Contains(err.Error(), "listening on port") {
		return "if another program has the port, set ROOMWATCH_NATS_PORT to a free one, or NATS_URL to use the server that runs there"
	}
	return fmt.Sprintf("see that %s can be made and written to and that its disk has room; ROOMWATCH_DATA_DIR says where it is", e.dir)
}

// ready waits until the server takes connections, or says why it never will.
func (l *natsLog) ready(ctx context.Context, s *server.Server, started <-chan struct{}) error {
	select {
	case <-started:
	case <-ctx.Done():
		return ctx.Err()
	}
	for end := time.Now().Add(embeddedReady); time.Now().Before(end); {
		select {
		case text := <-l.fatal:
			return errors.New(text)
		case <-ctx.Done():
			return ctx.Err()
		default:
		}
		if s.ReadyForConnections(50 * time.Millisecond) {
			return nil
		}
	}
	return fmt.Errorf("it took no connections within %s", embeddedReady)
}

// giveUp stops a server. It waits for it, so that no second server works on the
// files; but one that hangs on its disk when ctx ends is left behind after a
// while, for the end of the process. It reports whether the server has stopped.
func giveUp(ctx context.Context, s *server.Server, started <-chan struct{}) bool {
	stopped := make(chan struct{})
	go func() {
		<-started
		s.Shutdown()
		s.WaitForShutdown()
		close(stopped)
	}()
	select {
	case <-stopped:
		return true
	case <-ctx.Done():
	}
	select {
	case <-stopped:
		return true
	case <-time.After(embeddedGrace):
		return false
	}
}

// InProcessConn implements [nats.InProcessConnProvider]: clients of a server that
// was restarted find it again.
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

// stop stops the server, if there is one. When ctx is done, it waits for it only
// for a while longer: all that was acknowledged is on the disk.
func (e *embedded) stop(ctx context.Context) {
	e.mu.Lock()
	s := e.srv
	e.srv = nil
	e.mu.Unlock()
	if s == nil {
		return
	}
	started := make(chan struct{})
	close(started)
	if !giveUp(ctx, s, started) {
		e.log.WarnContext(ctx, "embedded nats-server does not stop", "after", embeddedGrace, "fix", fmt.Sprintf("check the disk of %s", e.dir))
	}
}
