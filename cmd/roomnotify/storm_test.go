package main

import (
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/diff/logtest"
	"roomwatch/publisher/events"
)

var (
	stormRounds = flag.Int("rounds", 0, "how often TestStorm kills roomnotify; 0: twice, and few events")
	stormEvents = flag.Int("events", 10_000, "events of TestStorm within a minute, with -rounds")
)

// stormTargets are the targets of a storm: each of them is told of every event.
var stormTargets = []string{"hang", "throttle", "refuse", "dead", "plain1", "plain2", "plain3", "plain4", "limited", "chat"}

const (
	stormLimit  = 60  // notifications a minute to the limited target
	stormRooms  = 10  // at a time
	stormMemory = 128 // MiB that the process may have at its most
)

// A storm of events, while one target hangs, one throttles, one refuses one
// notification, one dies for good, and roomnotify itself is killed again and again.
// Each other target is told everything, in the order of each room and within its
// limit; what cannot be told is kept; and what is told twice was on its way when
// roomnotify was killed. The real binary needs a bounded memory for it.
func TestStorm(t *testing.T) {
	s := newStorm(t)
	p := s.start()
	waitFor(t, "a position in the events for each target", func() bool {
		for _, name := range stormTargets {
			if _, err := s.b.js.Consumer(t.Context(), "LIVE", "notify-"+name); err != nil {
				return false
			}
		}
		return true
	})
	var publishing sync.WaitGroup
	publishing.Go(s.publish)
	for round := range s.rounds {
		time.Sleep(lifetime(round))
		s.kill(p)
		p = s.start()
	}
	publishing.Wait()
	s.settle()
	s.stop(p)
	s.judge()
}

// lifetime is how long the process of a round lives after its start. What a dead one had
// taken NATS keeps back for ackWait; now and then that is not waited for.
func lifetime(round int) time.Duration {
	switch {
	case round == 0:
		return rand.N(1500 * time.Millisecond)
	case round%5 == 4:
		return rand.N(ackWait)
	}
	return ackWait + rand.N(2*time.Second)
}

type storm struct {
	t              *testing.T
	b              *bench
	bin, server    string
	events, rounds int
	full           bool // everything that is held is waited for
	connections    atomic.Int64
	targets        map[string]*stormTarget
	kills          []kill
	log            logtest.Buffer
	peak           int // MiB
	took           time.Duration
	began          time.Time
}

// A kill is what was true of the events when the process was dead, and all that it had
// sent was heard.
type kill struct {
	at      time.Time
	windows map[string]unacked // by target
}

// An unacked has the events of the stream that a target had taken and may not have
// acknowledged: those after floor, up to delivered. Pending of them are not.
type unacked struct {
	floor, delivered uint64
	pending          int
}

// A process is one life of roomnotify.
type stormProcess struct {
	cmd *exec.Cmd
	log *logtest.Buffer
}

func newStorm(t *testing.T) *storm {
	t.Helper()
	s := &storm{t: t, events: 200, rounds: 2, targets: map[string]*stormTarget{}, began: time.Now()}
	if testing.Short() { // under the race detector, which does not see the binary
		s.rounds = 1
	}
	if *stormRounds > 0 {
		s.events, s.rounds, s.full = *stormEvents, *stormRounds, true
	}
	for _, name := range stormTargets {
		s.targets[name] = newStormTarget(name, s.events)
	}
	server := httptest.NewUnstartedServer(s)
	server.Config.ConnState = s.connection
	server.Start()
	t.Cleanup(server.Close)
	s.server = server.URL
	var text strings.Builder
	text.WriteString("targets:\n")
	for _, name := range stormTargets {
		more := map[string]string{"hang": ", tries: 1, timeout: 1s", "dead": ", tries: 1", "limited": fmt.Sprintf(", timeout: 1m, limit: %d", stormLimit)}[name]
		if name == "chat" {
			text.WriteString("  chat: {kind: discord, url: \"${CHAT_URL}\", limit: 0, timeout: 1m, text: \"{{.Room.Name}}\"}\n")
			continue
		}
		if more == "" {
			more = ", timeout: 1m"
		}
		fmt.Fprintf(&text, "  %s: {kind: webhook, url: \"%s/%s\", secret: \"${HOOK_SECRET}\"%s}\n", name, s.server, name, more)
	}
	fmt.Fprintf(&text, "rules:\n  all: {events: [room.created, room.ended], late: true, targets: [%s]}\n", strings.Join(stormTargets, ", "))
	s.b = newBench(t, text.String())
	s.bin = filepath.Join(t.TempDir(), "roomnotify")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", s.bin, ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return s
}

// connection counts the connections of roomnotify.
func (s *storm) connection(_ net.Conn, to http.ConnState) {
	switch to {
	case http.StateNew:
		s.connections.Add(1)
	case http.StateClosed, http.StateHijacked:
		s.connections.Add(-1)
	default:
	}
}

func (s *storm) start() *stormProcess {
	s.t.Helper()
	p := &stormProcess{cmd: exec.Command(s.bin, "run"), log: &logtest.Buffer{}} //nolint:noctx // killed by hand
	p.cmd.Env = append(s.b.env(), "CHAT_URL="+s.server+"/chat")
	p.cmd.Stderr = io.MultiWriter(p.log, &s.log)
	if err := p.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = p.cmd.Process.Kill() })
	waitFor(s.t, "roomnotify starts", func() bool { return strings.Contains(p.log.String(), `msg="roomnotify started"`) })
	return p
}

func (s *storm) kill(p *stormProcess) {
	s.t.Helper()
	s.measure(p)
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
	if state, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || state.Signal() != syscall.SIGKILL {
		s.t.Fatalf("it ended before it was killed: %s\n%s", p.cmd.ProcessState, p.log)
	}
	waitFor(s.t, "what was sent is heard", func() bool { return s.connections.Load() == 0 })
	k := kill{at: time.Now(), windows: map[string]unacked{}}
	for _, name := range stormTargets {
		i := s.consumer(name)
		k.windows[name] = unacked{i.AckFloor.Stream, i.Delivered.Stream, i.NumAckPending}
	}
	s.kills = append(s.kills, k)
}

func (s *storm) consumer(name string) *jetstream.ConsumerInfo {
	s.t.Helper()
	c, err := s.b.js.Consumer(s.t.Context(), "LIVE", "notify-"+name)
	if err != nil {
		s.t.Fatal(err)
	}
	return c.CachedInfo()
}

// stop ends the last process as an operator does.
func (s *storm) stop(p *stormProcess) {
	s.t.Helper()
	s.measure(p)
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	if err := p.cmd.Wait(); err != nil {
		s.t.Errorf("after SIGTERM: %v\n%s", err, p.log)
	}
}

// measure notes the most memory that the process has had, where the system says it.
func (s *storm) measure(p *stormProcess) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return // no Linux
	}
	_, after, _ := strings.Cut(string(status), "VmHWM:")
	var kib int
	if _, err := fmt.Sscan(after, &kib); err != nil {
		s.t.Errorf("memory of the process: %v", err)
	}
	s.peak = max(s.peak, kib>>10)
}

// publish puts all events on the stream, within a minute: rooms that come and go.
func (s *storm) publish() {
	began := time.Now()
	for i := range s.events {
		e := roomEvent(uint64(i+1), fmt.Sprintf("room%d", i%stormRooms), began)
		e.Data.Room.RoomName = fmt.Sprintf("n%d", i+1) // by which the chat is understood
		if i/stormRooms%2 == 1 {
			e.Type, e.Data.Version = events.RoomEnded, 2
		}
		body, err := events.Encode(e)
		if err == nil {
			_, err = s.b.js.PublishAsync(events.SubjectOf("live", e), body, jetstream.WithMsgID(e.ID))
		}
		if err != nil {
			s.t.Errorf("publish: %v", err)
			return
		}
		due := time.Duration(i) * min(50*time.Second/time.Duration(s.events), 10*time.Millisecond)
		time.Sleep(time.Until(began.Add(due)))
	}
	select {
	case <-s.b.js.PublishAsyncComplete():
	case <-time.After(time.Minute):
		s.t.Error("NATS does not confirm the events")
	}
	if s.took = time.Since(began); s.took > time.Minute {
		s.t.Errorf("the storm took %s, want a minute", s.took)
	}
}

// settle waits until nothing is left to do.
func (s *storm) settle() {
	s.t.Helper()
	limit := time.Minute
	if s.full {
		limit = 20 * time.Minute
	}
	for end := time.Now().Add(limit); ; time.Sleep(100 * time.Millisecond) {
		busy := ""
		for _, name := range stormTargets {
			if i := s.consumer(name); i.NumAckPending > 0 || i.NumPending > 0 {
				busy += fmt.Sprintf(" %s %d+%d", name, i.NumAckPending, i.NumPending)
			}
		}
		if n := s.keeps("notify.waiting.throttle.all"); n > 0 {
			busy += fmt.Sprintf(" throttle %d waiting", n)
		}
		if n := s.keeps("notify.held.limited.all"); n > 0 && s.full {
			busy += fmt.Sprintf(" limited %d held", n)
		}
		if busy == "" {
			return
		}
		if time.Now().After(end) {
			s.t.Fatalf("never done:%s\n%s", busy, &s.log)
		}
	}
}

// keeps returns how many messages the store has on a subject.
func (s *storm) keeps(subject string) uint64 {
	s.t.Helper()
	stream, err := s.b.js.Stream(s.t.Context(), "NOTIFY")
	if err != nil {
		s.t.Fatal(err)
	}
	i, err := stream.Info(s.t.Context(), jetstream.WithSubjectFilter(subject))
	if err != nil {
		s.t.Fatal(err)
	}
	return i.State.Subjects[subject]
}
