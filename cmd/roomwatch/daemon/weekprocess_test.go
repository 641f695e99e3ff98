package daemon

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"roomwatch/cmd/roomwatch/config"
)

var errKilled = errors.New("the process was killed")

// A process is a daemon that can be killed at any moment: its files and connections
// are closed under its running parts, whatever they are doing, and nothing that they
// do afterwards reaches the world.
type process struct {
	w      *week
	wall   *wall // of its machine
	d      *Daemon
	cancel context.CancelFunc
	ended  chan error

	crash   atomic.Pointer[crash] // nil: none is armed
	hooks   *pipeListener         // of callbacks; nil: none are received
	killed  chan struct{}
	stopped atomic.Bool

	mu    sync.Mutex
	dead  bool
	cut   bool // from NATS
	conns []io.Closer
	wires []net.Conn // those to NATS
	files []*os.File
}

// start opens the daemon on the files that are there, and runs it.
func (w *week) start(cfg *config.Config) {
	w.t.Helper()
	w.launch(cfg, &w.wall, w.current.Store)
}

// launch does what start does for a process on a machine with a clock of its own, which is
// handed to begins before it runs.
func (w *week) launch(cfg *config.Config, on *wall, begins func(*process)) *process {
	w.t.Helper()
	p := &process{w: w, wall: on, ended: make(chan error, 1), killed: make(chan struct{})}
	log := slog.New(slog.NewTextHandler(&deadOrAlive{p: p, to: &w.said}, &slog.HandlerOptions{Level: slog.LevelInfo}))
	d, err := open(w.t.Context(), cfg, log, outside{dial: p.dial, listen: p.listen, openFile: p.openFile, nats: p, sink: func(s sink) sink { return machineClock{wall: on, sink: s} }})
	if err != nil {
		w.t.Fatalf("start: %v", err)
	}
	p.d = d
	ctx, cancel := context.WithCancel(context.Background())
	p.cancel = cancel
	begins(p)
	go func() { p.ended <- d.Run(ctx) }()
	return p
}

// kill ends the process at once. It may be called by any of its goroutines.
func (p *process) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dead {
		return
	}
	p.dead = true
	for _, c := range p.conns {
		_ = c.Close()
	}
	for _, f := range p.files {
		if err := cutOff(f); err != nil {
			p.w.t.Errorf("kill: %v", err)
		}
	}
	close(p.killed)
}

// bury waits until nothing of a killed process is left.
func (p *process) bury() {
	p.kill()
	p.cancel()
	p.ended <- <-p.ended
	_ = p.d.Close() // its files are cut off already
}

// stop ends the process as a supervisor does.
func (p *process) stop() error {
	p.stopped.Store(true)
	p.cancel()
	end := <-p.ended
	p.ended <- end
	err := errors.Join(end, p.d.Close())
	p.kill() // connections that its client has left open
	return err
}

// keep has the kill close what the process has opened, or refuses it to a dead one.
func (p *process) keep(c io.Closer) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dead {
		_ = c.Close()
		return errKilled
	}
	p.conns = append(p.conns, c)
	return nil
}

func (p *process) openFile(name string, flag int, perm os.FileMode) (*os.File, error) {
	f, err := os.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dead {
		return nil, errors.Join(errKilled, f.Close())
	}
	p.files = append(p.files, f)
	return f, nil
}

func (p *process) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	c, err := p.w.web.dial(ctx)
	if err != nil {
		return nil, err
	}
	if asked := p.w.asked; asked != nil {
		c = askingConn{c, func() { asked(p) }}
	}
	return c, p.keep(c)
}

// An askingConn is one to the service, on which each request is one write.
type askingConn struct {
	net.Conn
	asks func()
}

// Write implements [net.Conn].
func (c askingConn) Write(b []byte) (int, error) {
	c.asks()
	return c.Conn.Write(b)
}

func (p *process) listen(context.Context, string, string) (net.Listener, error) {
	p.hooks = newPipeListener()
	return p.hooks, p.keep(p.hooks)
}

// cutOffNATS closes its connections to NATS, and lets it make no others while it is cut.
func (p *process) cutOffNATS(cut bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = cut
	for _, c := range p.wires {
		_ = c.Close()
	}
	p.wires = nil
}

// InProcessConn connects the process to NATS.
func (p *process) InProcessConn() (net.Conn, error) {
	c, err := p.w.nats.InProcessConn()
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	cut := p.cut
	if !cut {
		p.wires = append(p.wires, c)
	}
	p.mu.Unlock()
	if cut {
		return nil, errors.Join(errors.New("cut off"), c.Close())
	}
	return &cable{Conn: c, p: p}, p.keep(c)
}

// deadOrAlive drops what a dead process says.
type deadOrAlive struct {
	p  *process
	to io.Writer
}

func (d *deadOrAlive) Write(b []byte) (int, error) {
	d.p.mu.Lock()
	dead := d.p.dead
	d.p.mu.Unlock()
	if dead {
		return len(b), nil
	}
	return d.to.Write(b)
}

// A pipeListener is a network of pipes, which works in a bubble.
type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
	close func()
}

func newPipeListener() *pipeListener {
	l := &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
	l.close = sync.OnceFunc(func() { close(l.done) })
	return l
}

// Accept implements [net.Listener].
func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close implements [net.Listener].
func (l *pipeListener) Close() error {
	l.close()
	return nil
}

// Addr implements [net.Listener].
func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

func (l *pipeListener) dial(ctx context.Context) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case l.conns <- far:
		return near, nil
	case <-l.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// A killed process does nothing more, and the next one has all that it had committed.
func TestKilledProcess(t *testing.T) {
	plan := weekPlan{Seed: 1, Rooms: 30, Interval: 10 * time.Second, Reads: 50}
	plan.run(t, func(w *week) {
		t := w.t // of the bubble
		time.Sleep(time.Minute)
		p := w.current.Load()
		_, _, assigned := p.d.store.Position()
		p.kill()
		synctest.Wait() // for what was on its way
		before := w.service.Requests()
		time.Sleep(time.Minute)
		if after := w.service.Requests(); after > before {
			t.Errorf("a dead process made %d requests", after-before)
		}
		p.bury()
		w.start(w.config)
		if _, _, again := w.current.Load().d.store.Position(); assigned < 30 || again < assigned {
			t.Errorf("the next process has %d of %d events", again, assigned)
		}
	})
}
