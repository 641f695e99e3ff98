package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"roomwatch/poller/simulator"
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
			eventually(t, "a line in the log", func() bool { return lines(p.output.String(), " fail") != "" })
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
	const fix = "check that the disk of ROOMWATCH_DATA_DIR, "
	if !strings.Contains(ready, fix+dir) {
		t.Errorf("readiness: %s", ready)
	}
	if _, out := runWith(t, env, "status"); !strings.Contains(out, "state: sweeps fail since") && !strings.Contains(out, fix) {
		t.Errorf("status:\n%s", out)
	}
	if exit, out := runWith(t, env, "check"); exit != 1 || !strings.Contains(lines(out, "FAILED"), "no space left on device; "+fix) {
		t.Errorf("check: exit status %d\n%s", exit, out)
	}
	if log := lines(p.output.String(), `msg="state file cannot be written"`); log == "" {
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
