package publisher

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"pgregory.net/rapid"

	"roomwatch/diff/retry"
	"roomwatch/publisher/lease"
	"roomwatch/publisher/natsconn"
	"roomwatch/publisher/natstest"
)

const (
	modelLease = 6 * time.Second
	modelRuns  = 20
)

// A wire is the network of one process. While it is stopped, what is sent on it waits, in
// both directions, and arrives when it goes on: so does what a frozen process had on its
// way. Neither side is held up, since the client and the server write with a mutex held.
type wire struct {
	s *natstest.Server

	mu    sync.Mutex
	going chan struct{} // closed while it goes
	down  bool          // no connection is made
	conns []*wireConn
}

func newWire(s *natstest.Server) *wire {
	w := &wire{s: s, going: make(chan struct{})}
	close(w.going)
	return w
}

// InProcessConn lets a wire be the argument of [nats.InProcessServer].
func (w *wire) InProcessConn() (net.Conn, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.down || !w.goes() {
		return nil, errors.New("cut")
	}
	conn, err := w.s.InProcessConn()
	if err != nil {
		return nil, err
	}
	client, near := net.Pipe()
	c := &wireConn{w: w, ends: []net.Conn{client, near, conn}}
	w.conns = append(w.conns, c)
	c.carry(conn, near)
	c.carry(near, conn)
	return client, nil
}

func (w *wire) goes() bool {
	select {
	case <-w.going:
		return true
	default:
		return false
	}
}

// set stops the wire, or lets it go on.
func (w *wire) set(going bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case going && !w.goes():
		close(w.going)
	case !going && w.goes():
		w.going = make(chan struct{})
	}
}

// cut closes the connections, with what was on its way, and says whether others are made.
func (w *wire) cut(down bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.down = down
	for _, c := range w.conns {
		c.close()
	}
	w.conns = nil
}

// A wireConn is one connection of a wire.
type wireConn struct {
	w    *wire
	ends []net.Conn
}

func (c *wireConn) close() {
	for _, end := range c.ends {
		_ = end.Close()
	}
}

// carry brings what comes from one end to the other, as long as both are open.
func (c *wireConn) carry(to, from net.Conn) {
	queue := make(chan []byte, 4096)
	go func() {
		defer close(queue)
		for {
			b := make([]byte, 32<<10)
			n, err := from.Read(b)
			if err != nil {
				return
			}
			queue <- b[:n]
		}
	}()
	go func() {
		defer c.close()
		for b := range queue {
			c.w.mu.Lock()
			going := c.w.going
			c.w.mu.Unlock()
			<-going
			if _, err := to.Write(b); err != nil {
				for range queue { // the reader must not wait for room
				}
				return
			}
		}
	}()
}

// modelMemory is what a state file remembers of the lease.
type modelMemory struct {
	mu      sync.Mutex
	process string
	shared  bool
}

func (m *modelMemory) Holder() (string, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.process, !m.shared, nil
}

func (m *modelMemory) SetHolder(process string, alone bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.process, m.shared = process, !alone
	return nil
}

// A modelApp is one application, and what the model knows of who may write for it.
type modelApp struct {
	id    int
	first uint64 // where its messages begin in the stream, at the earliest

	mu        sync.Mutex
	instances map[string]string // process → its instance
}

func (a *modelApp) made(process, instance string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.instances[process] = instance
}

func (a *modelApp) instance(process string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.instances[process]
}

// writers returns how many processes have been ready to write.
func (a *modelApp) writers() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.instances)
}

// A contender is one place in which a roomwatch runs; another process takes the place of
// one that has lost the lease, on the same network and with the same memory.
type contender struct {
	app    *modelApp
	name   string
	wire   *wire
	memory *modelMemory
	stop   context.CancelFunc
	done   chan struct{}

	mu      sync.Mutex
	restart context.CancelFunc // ends the process that is there now, as SIGTERM does
	out     *box
	tenure  *lease.Tenure // nil: it holds no lease
	err     error
}

func contend(app *modelApp, name string, s *natstest.Server) *contender {
	c := &contender{app: app, name: name, wire: newWire(s), memory: &modelMemory{}, done: make(chan struct{})}
	ctx, stop := context.WithCancel(context.Background())
	c.stop = stop
	go func() {
		defer close(c.done)
		for n := 0; ctx.Err() == nil; n++ {
			if err := c.live(ctx, fmt.Sprintf("%s.%d", name, n)); err != nil {
				c.mu.Lock()
				c.err = errors.Join(c.err, err)
				c.mu.Unlock()
			}
		}
	}()
	return c
}

// live is the life of a process: it waits for the lease, publishes while it has it, and
// claims again where a reclaim says so, as the daemon does.
func (c *contender) live(ctx context.Context, process string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	nc, err := nats.Connect("", nats.InProcessServer(c.wire), nats.MaxReconnects(-1), nats.ReconnectBufSize(-1), nats.RetryOnFailedConnect(true), nats.ReconnectWait(200*time.Millisecond))
	if err != nil {
		return err
	}
	defer nc.Close()
	conn, out := natsconn.Of(nc), newBox(process)
	p, err := New(Config{Conn: conn, Outbox: out, Stream: live, SDKAppID: c.app.id, Version: "test"})
	if err != nil {
		return err
	}
	c.app.made(process, p.Instance())
	l := lease.New(lease.Config{
		Conn: conn, SDKAppID: c.app.id, Instance: p.Instance(), Host: c.name, Version: "test", Duration: modelLease, Memory: c.memory,
		Claim: func(ctx context.Context) (lease.Claim, error) {
			w, err := p.NewestClaim(ctx)
			return lease.Claim{Instance: w.Instance, Term: w.Term}, err
		},
		Behind: func() (uint64, bool) { return 0, true },
	})
	defer l.Close()
	c.is(cancel, out, nil)
	t, err := l.Acquire(ctx, time.Hour, func(ctx context.Context) { <-ctx.Done() })
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	c.is(cancel, out, t)
	defer c.is(cancel, out, nil)
	defer func() {
		release, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		t.Release(release)
	}()
	watching, end := context.WithCancel(ctx)
	defer end()
	defer context.AfterFunc(t.Context(), end)()
	for term := t.Term(); ; {
		err := p.Run(watching, term)
		if !errors.Is(err, ErrFenced) {
			return err
		}
		by := FencedBy(err)
		term, err = t.Reclaim(watching, lease.Claim{Instance: by.Instance, Term: by.Term}, by.Host)
		if watching.Err() != nil || errors.Is(err, lease.ErrLost) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (c *contender) is(restart context.CancelFunc, out *box, t *lease.Tenure) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.restart, c.out, c.tenure = restart, out, t
}

// stranger reports whether an instance is that of a roomwatch that does not know the lease.
func (a *modelApp) stranger(instance string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for process, of := range a.instances {
		if of == instance {
			return strings.HasPrefix(process, "s")
		}
	}
	return false
}

// see commits events if the process believes that it is the writer.
func (c *contender) see(n int) (out *box, term uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tenure == nil {
		return nil, 0
	}
	c.out.add(n)
	return c.out, c.tenure.Term()
}

// wantTerms reads what the stream has of the application, and returns who
// has claimed last. The terms of the claims never go down, and each is that of one
// process; an event stands after the claim of its writer, with no other claim between;
// and the events of a writer have no gap.
func (a *modelApp) wantTerms(t *rapid.T, nc *nats.Conn, tb testing.TB) claim {
	s := stream(tb, nc, nil)
	info, err := s.Info(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	var now claim
	var top uint64
	holder := map[uint64]string{}
	next := map[string]uint64{}
	token := "." + strconv.Itoa(a.id)
	for i := max(1, a.first); i <= info.State.LastSeq; i++ {
		m, err := s.GetMsg(context.Background(), i)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(m.Subject, token) && !strings.Contains(m.Subject, token+".") {
			continue
		}
		if m.Subject == claimSubject(live.Prefix, a.id) {
			var c envelope[claim]
			if err := json.Unmarshal(m.Data, &c); err != nil {
				t.Fatal(err)
			}
			now = c.Data
			if now.Term == 0 || a.stranger(now.Instance) {
				continue // not of the lease
			}
			if was, known := holder[now.Term]; now.Term < top || known && was != now.Instance {
				t.Fatalf("message %d: %s claims term %d after term %d, which is that of %s", i, now.Instance, now.Term, top, was)
			}
			top, holder[now.Term] = now.Term, now.Instance
			continue
		}
		e, err := Decode(m.Data)
		if err != nil {
			t.Fatal(err)
		}
		epoch, _, _ := strings.Cut(e.ID, "-")
		process := epoch
		if cut := strings.IndexAny(epoch, "+/"); cut >= 0 {
			process = epoch[:cut]
		}
		if by := a.instance(process); by != now.Instance {
			t.Fatalf("message %d: an event of %s (%s) in term %d of %s", i, process, by, now.Term, now.Instance)
		}
		if next[epoch]++; e.Seq != next[epoch] {
			t.Fatalf("message %d: event %s, want number %d", i, e.ID, next[epoch])
		}
	}
	return now
}

// Whatever becomes of the processes and their networks: no two terms of an application
// are mixed on the stream, a writer without the lease does not fence the holder for
// good, and in the end there is one writer, which the stream takes events of. The other
// application, with the same bucket, never changes its writer.
func TestLeaseModel(t *testing.T) {
	natstest.Run(t, func(t *testing.T, s *natstest.Server) {
		nc := s.Connect()
		natstest.Live(t, nc)
		run, failed := 0, false
		// Without the method Deadline, which panics in a bubble.
		rapid.Check(struct{ rapid.TB }{t}, func(rt *rapid.T) {
			if run++; run > modelRuns && !failed {
				return // each takes its time: the server is a real one
			}
			defer func() { failed = failed || rt.Failed() }() // then it looks for a shorter one
			leaseSchedule(t, rt, s, nc, run)
		})
	})
}

func leaseSchedule(t *testing.T, rt *rapid.T, s *natstest.Server, nc *nats.Conn, run int) {
	info, err := stream(t, nc, nil).Info(t.Context())
	if err != nil {
		rt.Fatal(err)
	}
	app := &modelApp{id: 1000 + 2*run, first: info.State.LastSeq + 1, instances: map[string]string{}}
	other := &modelApp{id: 1001 + 2*run, first: app.first, instances: map[string]string{}}
	beside := contend(other, fmt.Sprintf("beside%d", run), s)
	var all []*contender
	defer func() {
		for _, c := range append(all, beside) {
			c.wire.set(true)
			c.wire.cut(false)
			c.stop()
			<-c.done
			c.wire.cut(true)
		}
	}()
	for i := range rapid.IntRange(2, 3).Draw(rt, "holders") {
		all = append(all, contend(app, fmt.Sprintf("p%d.%d", run, i), s))
	}
	pass(2 * time.Second)
	beside.see(1)
	strangers := 0
	for range rapid.IntRange(3, 10).Draw(rt, "steps") {
		c := all[rapid.IntRange(0, len(all)-1).Draw(rt, "process")]
		switch rapid.SampledFrom([]string{"freeze", "thaw", "lose", "find", "release", "claim", "claim high"}).Draw(rt, "what") {
		case "freeze":
			c.wire.set(false)
		case "thaw":
			c.wire.set(true)
		case "lose":
			c.wire.set(true)
			c.wire.cut(true)
		case "find":
			c.wire.cut(false)
		case "release":
			c.mu.Lock()
			restart := c.restart
			c.mu.Unlock()
			restart()
		case "claim":
			strangers++
			stranger(t, s, app, fmt.Sprintf("s%d.%d", run, strangers), 0)
		case "claim high":
			strangers++
			stranger(t, s, app, fmt.Sprintf("s%d.%d", run, strangers), uint64(10*strangers))
		}
		for _, c := range all {
			c.see(rapid.IntRange(0, 3).Draw(rt, "events"))
		}
		beside.see(1)
		time.Sleep(time.Duration(rapid.IntRange(0, 9000).Draw(rt, "ms")) * time.Millisecond)
		app.wantTerms(rt, nc, t)
	}
	for _, c := range all {
		c.wire.set(true)
		c.wire.cut(false)
	}
	pass(5 * modelLease) // the connections, the lease, and a reclaim
	app.wantOne(t, rt, nc, all)
	other.wantOne(t, rt, nc, []*contender{beside})
	if n := other.writers(); n != 1 {
		rt.Fatalf("the other application had %d writers", n)
	}
}

// stranger is a roomwatch that does not know this lease: it claims, publishes, and is gone.
func stranger(t *testing.T, s *natstest.Server, app *modelApp, name string, term uint64) {
	nc := s.Connect()
	defer nc.Close()
	out := newBox(name)
	p, err := New(Config{Conn: natsconn.Of(nc), Outbox: out, Stream: live, SDKAppID: app.id, Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	app.made(name, p.Instance())
	ctx, cancel := context.WithTimeout(t.Context(), 700*time.Millisecond)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx, term) }()
	_ = retry.Sleep(ctx, 200*time.Millisecond)
	out.add(1)
	if err := <-done; err != nil && !errors.Is(err, ErrFenced) {
		t.Errorf("a roomwatch without the lease: %v", err)
	}
}

// wantOne fails unless one process is the writer and the stream takes what it sees.
func (a *modelApp) wantOne(t *testing.T, rt *rapid.T, nc *nats.Conn, all []*contender) {
	var writer *box
	for _, c := range all {
		out, term := c.see(1)
		if c.mu.Lock(); c.err != nil {
			rt.Errorf("%s: %v", c.name, c.err)
		}
		c.mu.Unlock()
		switch {
		case out == nil:
		case writer != nil:
			rt.Fatalf("two writers: %s, and another of term %d", writer.epoch, term)
		default:
			writer = out
		}
	}
	if writer == nil {
		rt.Fatal("nobody has the lease")
	}
	pass(2 * time.Second)
	epoch, stored, assigned := writer.Position()
	if stored != assigned {
		rt.Fatalf("the stream has %d of %d events of %s", stored, assigned, epoch)
	}
	last := a.wantTerms(rt, nc, t)
	process, _, _ := strings.Cut(strings.ReplaceAll(epoch, "/", "+"), "+")
	if last.Instance != a.instance(process) {
		rt.Fatalf("the newest claim is that of %s, not of the holder %s", last.Instance, a.instance(process))
	}
}
