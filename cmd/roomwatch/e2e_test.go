package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"roomwatch/cmd/roomwatch/web"
	"roomwatch/diff/logtest"
	"roomwatch/poller/simulator"
)

// startInProcess runs the daemon in this process, so that the race detector and
// the leak check see it. stop ends it and returns its exit status.
func startInProcess(t *testing.T, env []string) (output *logtest.Buffer, stop func() int) {
	t.Helper()
	for _, kv := range env {
		k, v, _ := strings.Cut(kv, "=")
		t.Setenv(k, v)
	}
	ctx, cancel := context.WithCancel(t.Context())
	output = &logtest.Buffer{}
	status := make(chan int, 1)
	go func() { status <- run(ctx, []string{"run"}, output, output) }()
	return output, func() int {
		cancel()
		select {
		case s := <-status:
			return s
		case <-time.After(10 * time.Second):
			t.Fatalf("still running 10 s after it was told to stop:\n%s", output)
			return -1
		}
	}
}

// At rest the fold of the stream is the truth, and on the way there was no
// false news, whatever Next is and however the list moves while it is read.
func TestStreamFoldsToTheTruth(t *testing.T) {
	for name, next := range map[string]simulator.Next{"rank": simulator.NextRank, "key": simulator.NextKey, "frozen": simulator.NextFrozen} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, simulator.Config{Seed: 3, Rooms: 240, Opens: 8, Enters: 600, Recreates: 2, Quota: -1, Next: next})
			out, stop := startInProcess(t, r.env(t.TempDir(), "ROOMWATCH_REQUESTS_PER_SECOND=100"))
			eventually(t, "news", func() bool { return stored(t, r.nc) > 1500 })
			events := settle(t, r.nc, r.world)
			t.Logf("%d events: %s", len(events), count(events))
			if status := stop(); status != 0 {
				t.Errorf("exit status %d:\n%s", status, out)
			}
		})
	}
}

// A service that fails one request in five, in every way it can, makes the news
// late and never wrong.
func TestFaultyService(t *testing.T) {
	t.Parallel()
	c := lively(simulator.NextKey)
	faults := simulator.Random(11, 0.2,
		simulator.Fault{ErrorCode: 100001}, simulator.Fault{ErrorCode: 60008}, simulator.Fault{Status: http.StatusBadGateway},
		simulator.Fault{CutBody: true}, simulator.Fault{Drop: true}, simulator.Fault{LoopNext: true},
		simulator.Fault{Body: []byte("<html>busy</html>")}, simulator.Fault{Hang: 300 * time.Millisecond})
	var over atomic.Bool
	c.Fault = func(n int, r *http.Request) *simulator.Fault {
		if over.Load() {
			return nil
		}
		return faults(n, r)
	}
	r := newRig(t, c)
	p := startProcess(t, r.env(t.TempDir(), "ROOMWATCH_REQUEST_TIMEOUT=200ms"), "run")
	eventually(t, "news", func() bool { return stored(t, r.nc) > 300 })
	over.Store(true)
	events := settle(t, r.nc, r.world)
	t.Logf("%d events: %s", len(events), count(events))
	if status := p.stop(); status != 0 {
		t.Errorf("exit status %d:\n%s", status, p.output)
	}
}

// eachReads runs a test with point reads, which show that a room lives, and by sweeps
// alone, which have nothing but the list.
func eachReads(t *testing.T, name string, f func(t *testing.T, reads string)) {
	t.Helper()
	for _, reads := range []string{"50", "0"} {
		t.Run(name+", reads "+reads, func(t *testing.T) { f(t, "ROOMWATCH_POINT_READS_PER_SECOND="+reads) })
	}
}

// An empty list after a full one, and half a list, end no room.
func TestShortListsEndNothing(t *testing.T) {
	for name, fault := range map[string]simulator.Fault{
		"empty list": {EmptyList: true},
		"half a list": {Body: []byte(`{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":0,"RequestId":"x","Response":{"Next":"","RoomList":[` +
			`{"RoomId":"other","RoomName":"","Owner_Account":"o","CoverURL":"","Category":null,"CreateTime":1,"ActivityStatus":0,"ViewCount":1}]}}`)},
	} {
		eachReads(t, name, func(t *testing.T, reads string) {
			var wrong atomic.Int64
			r := newRig(t, simulator.Config{Seed: 5, Rooms: 60, Quota: -1, Fault: func(int, *http.Request) *simulator.Fault {
				if wrong.Load() > 0 {
					wrong.Add(-1)
					return &fault
				}
				return nil
			}})
			p := startProcess(t, r.env(t.TempDir(), reads), "run")
			eventually(t, "the rooms", func() bool { return stored(t, r.nc) >= 60 })
			wrong.Store(4) // four sweeps of one page
			eventually(t, "the wrong answers", func() bool { return wrong.Load() == 0 })
			before := r.world.Requests()
			eventually(t, "further sweeps", func() bool { return r.world.Requests() > before+20 })
			for _, e := range readStream(t, r.nc) {
				if e.Type == "room.ended" && e.Subject != "other" {
					t.Errorf("%s: %s ended", e.ID, e.Subject)
				}
			}
			if status := p.stop(); status != 0 {
				t.Errorf("exit status %d:\n%s", status, p.output)
			}
		})
	}
}

// A service that is wrong for a moment, however often it is asked in it, ends no
// room; one that is gone ends soon after.
func TestMomentOfShortLists(t *testing.T) {
	tests := []struct {
		name         string
		rooms, shown int
		interval     string
		answers      int64         // so many are cut
		lasts        time.Duration // or all in this time
	}{
		{name: "the second page of two, twice", rooms: 30, shown: 20, interval: "4s", answers: 2},
		{name: "18 of 19 rooms, twice", rooms: 19, shown: 1, interval: "4s", answers: 2},
		{name: "11 of 12 pages for two seconds", rooms: 240, shown: 20, interval: "500ms", lasts: 2 * time.Second},
		{name: "15 of 35 rooms for two seconds", rooms: 35, shown: 20, interval: "100ms", lasts: 2 * time.Second},
		{name: "half of a page for two seconds", rooms: 12, shown: 6, interval: "100ms", lasts: 2 * time.Second},
	}
	for _, tt := range tests {
		eachReads(t, tt.name, func(t *testing.T, reads string) {
			t.Parallel()
			var left atomic.Int64
			var until atomic.Pointer[time.Time]
			var cut atomic.Int64 // answers that were
			r := newRig(t, simulator.Config{Seed: 5, Rooms: tt.rooms, Quota: -1, Fault: func(_ int, _ *http.Request) *simulator.Fault {
				end := until.Load()
				if left.Add(-1) < 0 && (end == nil || time.Now().After(*end)) {
					return nil
				}
				cut.Add(1)
				return &simulator.Fault{CutList: tt.shown}
			}})
			startProcess(t, r.env(t.TempDir(), "ROOMWATCH_INTERVAL="+tt.interval, reads), "run")
			eventually(t, "the rooms", func() bool { return stored(t, r.nc) == tt.rooms })
			if tt.lasts > 0 {
				until.Store(new(time.Now().Add(tt.lasts)))
			}
			left.Store(tt.answers)
			eventually(t, "the cut lists", func() bool {
				end := until.Load()
				return cut.Load() > 1 && left.Load() < 0 && (end == nil || time.Now().After(*end))
			})
			before := r.world.Requests()
			eventually(t, "a further sweep", func() bool { return r.world.Requests() > before+2*tt.rooms/20+2 })
			if n := stored(t, r.nc); n != tt.rooms {
				t.Fatalf("%d events after %d cut lists, want %d: %s", n, cut.Load(), tt.rooms, count(readStream(t, r.nc)))
			}
			if err := r.world.Close(r.world.Truth().Lives[0].RoomID); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the end of a room that is gone", func() bool { return stored(t, r.nc) == tt.rooms+1 })
			settle(t, r.nc, r.world)
		})
	}
}

// All rooms really end at once: believed when five sweeps agree, over ten seconds.
func TestMassEndIsBelievedInTheEnd(t *testing.T) {
	t.Parallel()
	r := newRig(t, simulator.Config{Seed: 5, Rooms: 40, Quota: -1})
	p := startProcess(t, r.env(t.TempDir()), "run")
	eventually(t, "the rooms", func() bool { return stored(t, r.nc) == 40 })
	for _, l := range r.world.Truth().Lives {
		if err := r.world.Close(l.RoomID); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the ends", func() bool { return stored(t, r.nc) == 80 })
	settle(t, r.nc, r.world)
	if !strings.Contains(p.output.String(), "mass end doubted") {
		t.Errorf("no warning:\n%s", p.output)
	}
}

// NATS is away at the start and is stopped and started again under load: events
// wait on disk, and each is stored once.
func TestNATSAway(t *testing.T) {
	t.Parallel()
	r := newRig(t, lively(simulator.NextFrozen))
	r.stopNATS()
	p := startProcess(t, r.env(t.TempDir()), "run")
	before := r.world.Requests()
	eventually(t, "sweeps without NATS", func() bool { return r.world.Requests() > before+30 })
	for range 3 {
		r.startNATS()
		n := 0
		eventually(t, "events", func() bool {
			if n == 0 {
				n = stored(t, r.nc)
			}
			return stored(t, r.nc) > n+50
		})
		r.stopNATS()
		before := r.world.Requests()
		eventually(t, "sweeps without NATS", func() bool { return r.world.Requests() > before+30 })
	}
	r.startNATS()
	settle(t, r.nc, r.world)
	if status := p.stop(); status != 0 {
		t.Errorf("exit status %d:\n%s", status, p.output)
	}
}

// The stream is deleted while the daemon runs: it is made again, and what
// happens from then on is told. That the history is gone is in the status.
func TestStreamDeletedUnderway(t *testing.T) {
	r := newRig(t, lively(simulator.NextFrozen))
	env := r.env(t.TempDir(), "ROOMWATCH_HTTP_ADDR="+freeAddr(t))
	p := startProcess(t, env, "run")
	eventually(t, "events", func() bool { return stored(t, r.nc) > 200 })
	js, err := jetstream.New(r.nc)
	if err != nil {
		t.Fatal(err)
	}
	if err := js.DeleteStream(t.Context(), "LIVE"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "events in the new stream", func() bool { return stored(t, r.nc) > 200 })
	if status, out := runWith(t, env, "status"); status != 0 || !strings.Contains(out, "stream LIVE was recreated") {
		t.Errorf("status %d does not tell of the loss:\n%s", status, out)
	}
	seen := map[string]bool{}
	for _, e := range readStream(t, r.nc) {
		if seen[e.ID] {
			t.Errorf("%s is stored twice", e.ID)
		}
		seen[e.ID] = true
	}
	if status := p.stop(); status != 0 {
		t.Errorf("exit status %d:\n%s", status, p.output)
	}
}

// Odd RoomIds reach the stream as they are, each under one legal token.
func TestOddRoomIDs(t *testing.T) {
	odd := []string{"a.b.c", "with space", "*", ">", "%2E", "直播间", strings.Repeat("x", 48), "tab\there", `quote"\`, "<img src=x onerror=alert(1)>", "-", "_"}
	r := newRig(t, simulator.Config{Seed: 1, Rooms: len(odd), Quota: -1, RoomIDs: func(n int) string {
		return odd[(n-1)%len(odd)]
	}})
	p := startProcess(t, r.env(t.TempDir()), "run")
	eventually(t, "the rooms", func() bool { return stored(t, r.nc) >= len(odd) })
	for _, e := range settle(t, r.nc, r.world) {
		if e.Subject != e.Data.Room.RoomID {
			t.Errorf("subject %q, RoomId %q", e.Subject, e.Data.Room.RoomID)
		}
	}
	if status := p.stop(); status != 0 {
		t.Errorf("exit status %d:\n%s", status, p.output)
	}
}

// After a stop nothing of the daemon is left: no goroutine, no connection.
func TestNothingIsLeftAfterAStop(t *testing.T) {
	r := newRig(t, lively(simulator.NextFrozen))
	running := goleak.IgnoreCurrent()
	out, stop := startInProcess(t, r.env(t.TempDir(), "NATS_URL=", "ROOMWATCH_NATS_PORT=0", "ROOMWATCH_HTTP_ADDR=127.0.0.1:0"))
	before := r.world.Requests()
	eventually(t, "sweeps", func() bool { return r.world.Requests() > before+20 })
	if status := stop(); status != 0 {
		t.Errorf("exit status %d:\n%s", status, out)
	}
	r.api.CloseClientConnections()
	goleak.VerifyNone(t, running)
}

// The probes say what an operator asks.
func TestProbes(t *testing.T) {
	var refuse atomic.Bool
	r := newRig(t, simulator.Config{Seed: 1, Rooms: 30, Quota: -1, Fault: func(int, *http.Request) *simulator.Fault {
		if refuse.Load() {
			return &simulator.Fault{ErrorCode: 60020}
		}
		return nil
	}})
	addr := freeAddr(t)
	p := startProcess(t, r.env(t.TempDir(), "ROOMWATCH_HTTP_ADDR="+addr), "run")
	eventually(t, "ready", func() bool { status, _ := fetch(addr, "/readyz"); return status == http.StatusOK })
	if status, _ := fetch(addr, "/healthz"); status != http.StatusOK {
		t.Errorf("/healthz answers %d", status)
	}
	if _, body := fetch(addr, "/metrics"); !strings.Contains(body, "roomwatch_state_rooms 30") {
		t.Errorf("/metrics does not say that 30 rooms are live:\n%s", body)
	}

	r.stopNATS()
	notReady(t, addr, "NATS is not connected")
	r.startNATS()
	eventually(t, "ready again", func() bool { status, _ := fetch(addr, "/readyz"); return status == http.StatusOK })
	refuse.Store(true)
	notReady(t, addr, "60020")
	if status := p.stop(); status != 0 {
		t.Errorf("exit status %d:\n%s", status, p.output)
	}
	if strings.Contains(p.output.String(), testKey) {
		t.Errorf("the secret key is in the log:\n%s", p.output)
	}
}

func notReady(t *testing.T, addr, reason string) {
	t.Helper()
	eventually(t, fmt.Sprintf("not ready because of %q", reason), func() bool {
		status, body := fetch(addr, "/readyz")
		var r web.Readiness
		return status == http.StatusServiceUnavailable && json.Unmarshal([]byte(body), &r) == nil &&
			strings.Contains(strings.Join(r.Reasons, " "), reason)
	})
}
