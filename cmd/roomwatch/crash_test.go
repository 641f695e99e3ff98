package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"roomwatch/poller/simulator"
)

// lively is a world in which something happens in every millisecond.
func lively(next simulator.Next) simulator.Config {
	return simulator.Config{Seed: 7, Rooms: 90, Opens: 10, Enters: 400, Recreates: 2, Quota: -1, Next: next}
}

// The moments at which a daemon is killed, as the wires around it show them.
var moments = []string{
	"at random",
	"after the commit, before the publish",
	"in the middle of the publish",
	"after the publish, before its acknowledgement",
	"after the acknowledgement, before it is noted",
	"after the claim, before its acknowledgement",
	"after a page",
}

// A hundred daemons on one data directory are killed, each at a moment that its
// predecessors left it in; the stream must read as if one had run all the time.
func TestKilledAtEveryMoment(t *testing.T) {
	t.Parallel()
	rounds := 100
	if testing.Short() { // under the race detector, which does not see the binary
		rounds = 2 * len(moments)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	c := lively(simulator.NextRank)
	var victim atomic.Pointer[func()] // called after each request of the service
	c.Fault = func(int, *http.Request) *simulator.Fault {
		if f := victim.Load(); f != nil {
			(*f)()
		}
		return nil
	}
	r := newRig(t, c)
	wire := newTap(t, r.port)
	data := t.TempDir()
	for round := range rounds {
		moment := moments[round%len(moments)]
		p := startProcess(t, r.env(data, "NATS_URL="+wire.URL()), "run")
		// How often the moment is let pass before it strikes.
		passes := rng.IntN(4)
		struck := make(chan struct{})
		strike := func() bool {
			if passes > 0 {
				passes--
				return false
			}
			select {
			case <-struck:
				return false
			default:
			}
			_ = p.cmd.Process.Signal(syscall.SIGKILL)
			close(struck)
			return true
		}
		switch moment {
		case "at random":
			time.AfterFunc(time.Duration(rng.Int64N(int64(400*time.Millisecond))), func() { _ = p.cmd.Process.Signal(syscall.SIGKILL); close(struck) })
		case "after a page":
			passes = rng.IntN(20)
			f := func() { strike() }
			victim.Store(&f)
		case "after the claim, before its acknowledgement":
			passes = 0
			wire.Watch(killer(moment, strike))
		default:
			wire.Watch(killer(moment, strike))
		}
		select {
		case <-struck:
		case <-p.exited:
		case <-time.After(20 * time.Second):
			t.Fatalf("round %d: the moment %q never came:\n%s", round, moment, p.output)
		}
		p.kill()
		victim.Store(nil)
		wire.Watch(nil)
	}
	p := startProcess(t, r.env(data), "run")
	events := settle(t, r.nc, r.world)
	t.Logf("%d rounds, %d events: %s", rounds, len(events), count(events))
	if status := p.stop(); status != 0 {
		t.Errorf("exit status %d:\n%s", status, p.output)
	}
}

// killer returns a hook that strikes at a moment.
func killer(moment string, strike func() bool) func(bool, []byte) []byte {
	published, claimed, dead := false, false, false
	return func(fromDaemon bool, chunk []byte) []byte {
		switch {
		case dead:
			return nil // what the dead one's socket still holds must not arrive later than in life
		case fromDaemon && isEvent(chunk):
			published = true
			if moment == "after the commit, before the publish" && strike() {
				dead = true
				return nil
			}
			if moment == "in the middle of the publish" && strike() {
				dead = true
				return chunk[:len(chunk)/2]
			}
		case fromDaemon && bytes.Contains(chunk, []byte("HPUB live.writer.claimed")):
			claimed = true
		case !fromDaemon && isAck(chunk):
			switch {
			case moment == "after the claim, before its acknowledgement" && claimed && strike(),
				moment == "after the publish, before its acknowledgement" && published && strike():
				dead = true
				return nil
			case moment == "after the acknowledgement, before it is noted" && published && strike():
				dead = true
			}
		}
		return chunk
	}
}

// The state is lost, and later an old copy of it is put back: the stream knows
// better, no room is announced twice and none forgotten.
func TestStateLostAndOldCopy(t *testing.T) {
	t.Parallel()
	r := newRig(t, lively(simulator.NextFrozen))
	data := t.TempDir()
	path := filepath.Join(data, "state.db")
	var old []byte
	var looked time.Time // the first look was before
	for round, prepare := range []func() error{
		func() error { return nil },
		func() (err error) { old, err = os.ReadFile(path); return err },
		func() error { return os.Remove(path) },
		func() error { return nil },
		func() error { return os.WriteFile(path, old, 0o600) },
	} {
		if err := prepare(); err != nil {
			t.Fatal(err)
		}
		before := stored(t, r.nc)
		p := startProcess(t, r.env(data), "run")
		eventually(t, fmt.Sprintf("round %d: events", round), func() bool { return stored(t, r.nc) > before+100 })
		if round == 0 {
			looked = time.Now()
		}
		p.kill()
	}
	p := startProcess(t, r.env(data), "run")
	events := settle(t, r.nc, r.world)
	t.Logf("%d events: %s", len(events), count(events))
	for _, e := range events {
		// A rebuild opens the baseline again, for rooms that were live before the first look.
		if e.Data.Baseline && e.Data.Room.CreateTime > looked.Unix() {
			t.Errorf("%s: baseline, although the room began at %d, after the first look", e.ID, e.Data.Room.CreateTime)
		}
	}
	if status := p.stop(); status != 0 {
		t.Errorf("exit status %d:\n%s", status, p.output)
	}
}

// Without a lease, a daemon that is stopped in its tracks while another one takes over can
// do no harm when it comes back: it is refused, says who has taken over, and ends.
func TestSecondWriterFencesOffTheFirst(t *testing.T) {
	r := newRig(t, lively(simulator.NextFrozen))
	first := startProcess(t, r.env(t.TempDir(), "ROOMWATCH_LEASE=0s"), "run")
	eventually(t, "events of the first", func() bool { return stored(t, r.nc) > 100 })
	if err := first.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	before := stored(t, r.nc)
	second := startProcess(t, r.env(t.TempDir(), "ROOMWATCH_LEASE=0s"), "run")
	eventually(t, "events of the second", func() bool { return stored(t, r.nc) > before+100 })
	if err := first.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if status := first.wait(20 * time.Second); status != 1 {
		t.Errorf("exit status of the first %d, want 1", status)
	}
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	if out := first.output.String(); !bytes.Contains([]byte(out), []byte(host)) {
		t.Errorf("the first does not say who took over:\n%s", out)
	}
	settle(t, r.nc, r.world)
	if status := second.stop(); status != 0 {
		t.Errorf("exit status of the second %d:\n%s", status, second.output)
	}
}

// Two processes on one data directory: the second one exits at once and says so.
func TestSecondProcessOnOneDataDirectory(t *testing.T) {
	r := newRig(t, lively(simulator.NextFrozen))
	data := t.TempDir()
	startProcess(t, r.env(data), "run")
	eventually(t, "events", func() bool { return stored(t, r.nc) > 0 })
	second := startProcess(t, r.env(data), "run")
	if status := second.wait(5 * time.Second); status != 1 {
		t.Errorf("exit status %d, want 1", status)
	}
	if out := second.output.String(); !bytes.Contains([]byte(out), []byte(filepath.Join(data, "state.db"))) {
		t.Errorf("the second does not name the file:\n%s", out)
	}
}
