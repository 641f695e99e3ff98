package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/cmd/roomwatch/web"
	"roomwatch/poller"
	"roomwatch/poller/simulator"
	"roomwatch/publisher"
	"roomwatch/state"
)

// A failure of the service is told with its reason and its fix by the log, the
// status, the readiness and check.
func TestReasonsOfTheService(t *testing.T) {
	for _, tt := range []struct {
		name         string
		fault        simulator.Fault
		reason, hint string
	}{
		{"refused by a proxy", simulator.Fault{Status: http.StatusForbidden}, "HTTP status 403 Forbidden", "a proxy or a firewall refuses the request"},
		{"not the service", simulator.Fault{Body: []byte("<html>log in</html>")}, "HTML or XML, not JSON", "check ROOMWATCH_ENDPOINT, and the proxy in HTTPS_PROXY"},
		{"endless list", simulator.Fault{LoopNext: true}, "was given before in this sweep", "no proxy caches the answers"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, simulator.Config{Seed: 1, Rooms: 30, Quota: -1, Fault: func(int, *http.Request) *simulator.Fault { return &tt.fault }})
			addr := freeAddr(t)
			env := r.env(t.TempDir(), "ROOMWATCH_HTTP_ADDR="+addr)
			p := startProcess(t, env, "run")
			told := func(where, text string) {
				t.Helper()
				if !strings.Contains(text, tt.reason) || !strings.Contains(text, tt.hint) {
					t.Errorf("%s: no %q and %q in\n%s", where, tt.reason, tt.hint, text)
				}
			}
			var status int
			var ready string
			eventually(t, "a failure in the readiness", func() bool {
				status, ready = fetch(addr, "/readyz")
				return strings.Contains(ready, tt.reason) || strings.Contains(ready, "newest failure")
			})
			if status != http.StatusServiceUnavailable {
				t.Errorf("/readyz is %d", status)
			}
			told("readiness", ready)
			exit, out := runWith(t, env, "status")
			if exit != 1 {
				t.Errorf("status: exit status %d", exit)
			}
			told("status", out)
			_, out = runWith(t, env, "check")
			told("check", lines(out, "FAILED"))
			eventually(t, "a line in the log", func() bool { return strings.Contains(p.output.String(), "condition=failing") })
			told("log", p.output.String())
		})
	}
}

// A full disk of the state is not the fault of the service.
func TestReasonOfAFullDisk(t *testing.T) {
	dir := smallDisk(t)
	r := newRig(t, simulator.Config{Seed: 1, Rooms: 30, Enters: 60, Quota: -1})
	addr := freeAddr(t)
	env := r.env(dir, "ROOMWATCH_HTTP_ADDR="+addr)
	p := startProcess(t, env, "run")
	eventually(t, "a daemon that is ready", func() bool { code, _ := fetch(addr, "/readyz"); return code == http.StatusOK })
	filler := fill(t, dir)
	for i := range 300 { // so that the file has to grow
		if err := r.world.Open(fmt.Sprintf("more_%d_%s", i, strings.Repeat("x", 30))); err != nil {
			t.Fatal(err)
		}
	}
	var ready string
	eventually(t, "the reason in the readiness", func() bool {
		_, ready = fetch(addr, "/readyz")
		return strings.Contains(ready, "commit: ")
	})
	const fix = "see that the disk of ROOMWATCH_DATA_DIR, "
	if !strings.Contains(ready, fix+dir) {
		t.Errorf("readiness: %s", ready)
	}
	if _, out := runWith(t, env, "status"); !strings.Contains(out, "state: sweeps fail since") && !strings.Contains(out, fix) {
		t.Errorf("status:\n%s", out)
	}
	if exit, out := runWith(t, env, "check"); exit != 1 || !strings.Contains(lines(out, "FAILED"), "no space left on device; "+fix) {
		t.Errorf("check: exit status %d\n%s", exit, out)
	}
	if log := lines(p.output.String(), "condition=failing"); !strings.Contains(log, "msg=state") {
		t.Errorf("log:\n%s", p.output)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	eventually(t, "sweeps again", func() bool { _, ready = fetch(addr, "/readyz"); return !strings.Contains(ready, "commit: ") })
	if left, err := filepath.Glob(filepath.Join(dir, "room-*")); err != nil || len(left) > 0 {
		t.Errorf("check has left %v (%v)", left, err)
	}
}

// runDaemon runs a daemon in this process until the test ends.
func runDaemon(t *testing.T, cfg *config) *daemon {
	t.Helper()
	var out lockedBuffer
	d, err := newDaemon(t.Context(), cfg, cfg.logger(&out))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-ended, d.close()); err != nil {
			t.Errorf("%v\n%s", err, &out)
		}
	})
	return d
}

// A stream that takes no events is told as it is, and after a minute roomwatch is not ready.
func TestReasonOfAFullStream(t *testing.T) {
	r := newRig(t, simulator.Config{Seed: 1, Rooms: 30, Enters: 200, Quota: -1})
	js, err := jetstream.New(r.nc)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: "LIVE", Subjects: []string{"live.>"}, MaxMsgs: 20, Discard: jetstream.DiscardNew, AllowAtomicPublish: true, AllowDirect: true,
	}); err != nil {
		t.Fatal(err)
	}
	for _, kv := range r.env(t.TempDir()) {
		k, v, _ := strings.Cut(kv, "=")
		t.Setenv(k, v)
	}
	cfg, err := configured((*config).validate)
	if err != nil {
		t.Fatal(err)
	}
	d := runDaemon(t, &cfg)
	eventually(t, "an error of the stream", func() bool { return d.pub.Status().LastError != nil })
	pub := d.pub.Status()
	for after, want := range map[time.Duration]string{time.Second: web.Degraded, outboxPatience + time.Second: web.Failing} {
		found := false
		for _, c := range d.conditions(pub.LastErrorSince.Add(after), poller.Status{}, pub, state.Status{}) {
			if c.About != "stream" {
				continue
			}
			found = true
			if c.Level != want || !strings.Contains(c.Text, "maximum messages exceeded") || !strings.Contains(c.Text, "nats stream edit LIVE") {
				t.Errorf("after %s: %+v, want %s", after, c, want)
			}
		}
		if !found {
			t.Errorf("after %s: no condition", after)
		}
	}
}

// Check beside a daemon that is not ready says what the daemon says.
func TestCheckTellsWhatTheDaemonSays(t *testing.T) {
	var down atomic.Bool
	r := newRig(t, simulator.Config{Seed: 1, Rooms: 3, Quota: -1, Fault: func(int, *http.Request) *simulator.Fault {
		if down.Load() {
			return &simulator.Fault{Status: http.StatusBadGateway}
		}
		return nil
	}})
	addr := freeAddr(t)
	env := r.env(t.TempDir(), "ROOMWATCH_HTTP_ADDR="+addr)
	startProcess(t, env, "run")
	eventually(t, "a daemon that is ready", func() bool { code, _ := fetch(addr, "/readyz"); return code == http.StatusOK })
	if exit, out := runWith(t, env, "check"); exit != 0 || !strings.Contains(out, "its health is ok") {
		t.Errorf("exit status %d:\n%s", exit, out)
	}
	down.Store(true)
	eventually(t, "a daemon that is not ready", func() bool { code, _ := fetch(addr, "/readyz"); return code == http.StatusServiceUnavailable })
	if exit, out := runWith(t, env, "check"); exit != 1 || !strings.Contains(lines(out, "FAILED"), "sweep: the newest complete sweep ended at") {
		t.Errorf("exit status %d:\n%s", exit, out)
	}
}

// What is wrong is told of the part that it is wrong with.
func TestConditionOfTheSink(t *testing.T) {
	d := &daemon{cfg: &config{DataDir: "/data", Interval: time.Second}}
	now := time.Now()
	report := &poller.Report{Begin: now, End: now}
	failure := poller.Failure{Err: fmt.Errorf("page 1: %w: %w", poller.ErrSink, syscall.ENOSPC), At: now}
	for _, poll := range []poller.Status{
		{LastFailure: failure, FailingSince: now},
		{LastFailure: failure, FailingSince: now, LastComplete: report},
	} {
		list := d.conditions(now, poll, publisher.Status{Connected: true}, state.Status{})
		if len(list) != 1 || !strings.Contains(list[0].Text, "no space left on device") || !strings.Contains(list[0].Mend, "ROOMWATCH_DATA_DIR, /data, has room") {
			t.Errorf("%+v", list)
		}
	}
}
