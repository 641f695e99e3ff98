package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"roomwatch/cmd/roomwatch/web"
	"roomwatch/diff"
	"roomwatch/publisher/natstest"
	"roomwatch/state"
)

const (
	// pairWell is how long after a burst began all has to be well again.
	pairWell = 60 * time.Second
	// pairStop is how long a process that is stopped may take.
	pairStop = 12 * time.Second
)

// A pair is some roomwatch of one application, and what is done to them.
type pair struct {
	t    *testing.T
	r    *rig
	c    *natstest.Cluster
	plan *pairPlan

	began    time.Time
	places   []*place
	all      []*contestant
	steps    []pairStep // to be done, in the order of their times
	marks    []pairMark
	nodeBusy bool
	old      []byte // a state file as it was long ago
	done     map[harm]int
	struck   int // deeds that were done to the writer
	deaths   []death
	warm     map[uint64]bool // term → the writer was a warm standby

	mu     sync.Mutex
	asks   []ask
	stalls []stall
}

// A stall is a time in which the machine let this test wait.
type stall struct {
	at   time.Time // its end
	late time.Duration
}

// A place is a directory and a network, in which one process runs at a time.
type place struct {
	name    string
	dir     string
	link    *natstest.Link
	now     *contestant // the newest process
	busy    bool        // something is being done to it
	further bool        // it is there for a while
}

// A contestant is one process.
type contestant struct {
	*member
	name  string
	place *place
	older bool // it knows no lease

	instance           string // once it was the writer
	stopped, ended     time.Time
	frozen             bool
	thaws              []time.Time
	troubled           bool // on its network
	caughtUp           bool // when it was looked at last, as a standby
	warm               bool // so it was, and it has taken over events since it read all
	status             web.Status
	aloneFrom, aloneTo time.Time // it may ask, since it knows of nobody else
}

// over reports whether the process was killed, or has ended by itself.
func (c *contestant) over() bool {
	select {
	case <-c.exited:
		return true
	default:
		return false
	}
}

// An ask is one request of a process to the service.
type ask struct {
	at   time.Time
	who  *contestant
	list bool
}

// A pairStep is something to be done at a time.
type pairStep struct {
	at time.Time
	do func()
}

// A pairMark is a moment at which something was done.
type pairMark struct {
	at    time.Time
	what  string
	works bool // from then on somebody can be the writer, and store
	nodes bool // something was done to the cluster
	harms bool // it does no good
}

// A death is that of a process which was killed, with what its file had not noted as stored.
type death struct {
	at    time.Time
	who   *contestant
	waits []diff.Event
}

func newPair(t *testing.T, plan *pairPlan) *pair {
	r, c := newClusterRig(t, pairWorld(plan.Seed))
	p := &pair{t: t, r: r, c: c, plan: plan, began: time.Now(), done: map[harm]int{}, warm: map[uint64]bool{}}
	t.Cleanup(func() {
		if t.Failed() {
			p.tell()
		}
	})
	feeling, stop := context.WithCancel(t.Context())
	var felt sync.WaitGroup
	felt.Go(func() { p.feel(feeling) })
	t.Cleanup(func() { stop(); felt.Wait() })
	return p
}

// feel notes when the machine is busy with something else, which makes everything late.
func (p *pair) feel(ctx context.Context) {
	const tick = 50 * time.Millisecond
	for last := time.Now(); ctx.Err() == nil; {
		<-time.After(tick)
		now := time.Now()
		if late := now.Sub(last) - tick; late > tick {
			p.mu.Lock()
			p.stalls = append(p.stalls, stall{now, late})
			p.mu.Unlock()
		}
		last = now
	}
}

// stalled returns for how long the machine was busy with something else.
func (p *pair) stalled(from, to time.Time) (sum time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.stalls {
		if s.at.After(from) && s.at.Add(-s.late).Before(to) {
			sum += s.late
		}
	}
	return sum
}

// tell prints what led to a failure.
func (p *pair) tell() {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", p.plan)
	for _, m := range p.marks {
		fmt.Fprintf(&b, "%s %s (works %t)\n", p.when(m.at), m.what, m.works)
	}
	p.t.Log(b.String())
	for _, c := range p.all {
		p.t.Logf("%s, %q, said:\n%s", c.name, c.instance, c.output)
	}
}

func (p *pair) when(at time.Time) string {
	return fmt.Sprintf("%s (%s)", at.UTC().Format("15:04:05.000"), at.Sub(p.began).Round(time.Millisecond))
}

func (p *pair) newPlace(name, dir string) *place {
	pl := &place{name: name, dir: dir, link: natstest.NewLink(p.t, p.c.URLs()...)}
	p.places = append(p.places, pl)
	return pl
}

// launch starts a process in a place.
func (p *pair) launch(pl *place) *contestant {
	p.t.Helper()
	bin, err := buildDaemon()
	if err != nil {
		p.t.Fatal(err)
	}
	return p.launchBinary(pl, bin, "ROOMWATCH_LEASE="+leaseTime.String())
}

func (p *pair) launchBinary(pl *place, bin string, more ...string) *contestant {
	p.t.Helper()
	c := &contestant{place: pl, name: fmt.Sprintf("%s, process %d", pl.name, len(p.all))}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		p.mu.Lock()
		p.asks = append(p.asks, ask{time.Now(), c, strings.HasSuffix(req.URL.Path, "get_room_list")})
		p.mu.Unlock()
		p.r.world.ServeHTTP(w, req)
	}))
	p.t.Cleanup(front.Close)
	addr := freeAddr(p.t)
	env := append([]string{
		"NATS_URL=" + pl.link.URL(), "ROOMWATCH_ENDPOINT=" + front.URL, "ROOMWATCH_HTTP_ADDR=" + addr, "ROOMWATCH_STREAM_REPLICAS=3",
		"ROOMWATCH_REQUESTS_PER_SECOND=9.5",
	}, more...)
	c.member = &member{startBinary(p.t, bin, p.r.env(pl.dir, env...), "run"), addr}
	pl.now = c
	p.all = append(p.all, c)
	p.mark("start " + c.name)
	return c
}

func (p *pair) after(d time.Duration, do func()) {
	p.steps = append(p.steps, pairStep{time.Now().Add(d), do})
	slices.SortStableFunc(p.steps, func(a, b pairStep) int { return a.at.Compare(b.at) })
}

// mark notes what was done.
func (p *pair) mark(what string) {
	m := pairMark{at: time.Now(), what: what, nodes: strings.HasPrefix(what, "node")}
	m.harms = m.nodes || slices.ContainsFunc([]string{"kill", "stop", "freeze", "hold", "lose", "cut", "start older"}, func(h string) bool { return strings.HasPrefix(what, h) })
	for _, c := range p.all {
		m.works = m.works || !c.over() && c.stopped.IsZero() && !c.frozen && !c.troubled && !c.older
	}
	m.works = m.works && p.c.Away() < 2
	p.marks = append(p.marks, m)
}

var hasty = &http.Client{Timeout: 500 * time.Millisecond}

// look asks a process what it is.
func (c *contestant) look() {
	c.status = web.Status{}
	if c.over() || c.frozen {
		return
	}
	resp, err := hasty.Get("http://" + c.addr + "/api/v1/status") //nolint:noctx // it has a time-out
	if err != nil {
		return // it has just begun, or ends
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode == http.StatusOK {
		_ = json.NewDecoder(resp.Body).Decode(&c.status) // an empty role tells
	}
}

// lookAll looks at all processes, and for what ended by itself.
func (p *pair) lookAll() {
	for _, c := range p.all {
		switch {
		case c.over() && c.ended.IsZero() && c.stopped.IsZero():
			c.ended = time.Now()
			if c.older {
				p.mark("ended by itself: " + c.name)
				break
			}
			p.t.Errorf("%s ended by itself, exit status %d:\n%s", c.name, c.cmd.ProcessState.ExitCode(), c.output)
		case c.over() || c.older:
			continue
		}
		was := c.warm
		c.look()
		s := c.status
		c.caughtUp = s.Role == web.RoleStandby && s.Standby != nil && s.Standby.CaughtUp
		c.warm = c.caughtUp && s.Outbox.Assigned > 0
		if s.Role == web.RoleWriter && s.Lease != nil && s.Lease.Held {
			if _, known := p.warm[s.Lease.Term]; !known {
				p.warm[s.Lease.Term] = was
			}
			if s.Writer != nil && s.Writer.Self {
				c.instance = s.Writer.Instance
			}
		}
	}
}

// wellWithin does what is to be done and waits until all is well: one process is the
// writer and stores, the others have read the stream, and it knows of them.
func (p *pair) wellWithin(d time.Duration) bool {
	p.t.Helper()
	last := 0
	for end := time.Now().Add(d); time.Now().Before(end); {
		for len(p.steps) > 0 && !p.steps[0].at.After(time.Now()) {
			s := p.steps[0]
			p.steps = p.steps[1:]
			s.do()
		}
		p.lookAll()
		n := p.c.Messages("LIVE")
		if len(p.steps) == 0 && n > last && last > 0 && p.well() {
			return true
		}
		last = n
		pause := 100 * time.Millisecond
		if len(p.steps) > 0 {
			pause = max(0, min(pause, time.Until(p.steps[0].at)))
		}
		<-time.After(pause)
	}
	for _, c := range p.all {
		if !c.over() {
			p.t.Logf("%s: %s, lease %+v, standby %+v", c.name, c.status.Role, c.status.Lease, c.status.Standby)
		}
	}
	p.t.Errorf("all is not well after %s", d)
	return false
}

func (p *pair) well() bool {
	var writers, standbys, known int
	for _, c := range p.all {
		switch {
		case c.over():
		case c.older:
			return false
		case c.status.Role == web.RoleWriter && c.status.Lease != nil:
			writers++
			known = len(c.status.Lease.Standbys)
		case c.caughtUp:
			standbys++
		default:
			return false
		}
	}
	return writers == 1 && known == standbys
}

// writer returns the process that is the writer; nil: none is.
func (p *pair) writer() *contestant {
	for _, c := range p.all {
		if c.status.Role == web.RoleWriter && !c.over() {
			return c
		}
	}
	return nil
}

// target returns the process to which something is done; nil: none can bear it now.
func (p *pair) target(d deed) *contestant {
	p.lookAll()
	writer := p.writer()
	if d.Writer && writer != nil && !writer.place.busy {
		return writer
	}
	for i := range p.places {
		pl := p.places[(i+d.N)%len(p.places)]
		if c := pl.now; c != nil && c != writer && !c.over() && !c.older && !pl.busy && !pl.further && c.stopped.IsZero() {
			return c
		}
	}
	return nil
}

// file reads the state file of a process, as it is between two of its instructions.
func (p *pair) file(c *contestant) []byte {
	p.t.Helper()
	if !c.over() {
		c.signal(syscall.SIGSTOP)
		defer c.signal(syscall.SIGCONT)
	}
	b, err := os.ReadFile(filepath.Join(c.place.dir, "state.db"))
	if err != nil {
		p.t.Fatal(err)
	}
	return b
}

func (c *contestant) signal(s syscall.Signal) {
	c.t.Helper()
	if err := c.cmd.Process.Signal(s); err != nil {
		c.t.Fatal(err)
	}
}

// copied is a further place with a state file.
func (p *pair) copied(what string, file []byte) *place {
	p.t.Helper()
	dir := p.t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "state.db"), file, 0o600); err != nil {
		p.t.Fatal(err)
	}
	pl := p.newPlace(fmt.Sprintf("%s %d", what, len(p.places)), dir)
	pl.further = true
	return pl
}

func (p *pair) keepOld() { p.old = p.file(p.all[0]) }

// waits returns what the file of a dead process has that it has not noted as stored.
func (p *pair) waits(file []byte) []diff.Event {
	p.t.Helper()
	path := filepath.Join(p.t.TempDir(), "state.db")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		p.t.Fatal(err)
	}
	store, err := state.Open(state.Config{Path: path, SDKAppID: testApp, Policy: diff.DefaultPolicy()})
	if err != nil {
		p.t.Fatalf("the file of a killed process: %v", err)
	}
	defer func() { _ = store.Close() }()
	_, stored, _ := store.Position()
	events, err := store.Events(stored, 10_000)
	if err != nil {
		p.t.Fatal(err)
	}
	return events
}
