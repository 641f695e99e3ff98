package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"roomwatch/cmd/roomwatch/web"
	"roomwatch/poller/simulator"
	"roomwatch/poller/webhook"
)

// leaseTime is the shortest lease.
const leaseTime = 5 * time.Second

// A member is one of several roomwatch.
type member struct {
	*daemonProcess
	addr string
}

func (r *rig) member(data string, more ...string) *member {
	r.t.Helper()
	addr := freeAddr(r.t)
	env := append([]string{"ROOMWATCH_LEASE=" + leaseTime.String(), "ROOMWATCH_HTTP_ADDR=" + addr}, more...)
	return &member{startProcess(r.t, r.env(data, env...), "run"), addr}
}

func (m *member) status() (s web.Status) {
	if code, body := fetch(m.addr, "/api/v1/status"); code == http.StatusOK {
		_ = json.Unmarshal([]byte(body), &s) // an empty role tells
	}
	return s
}

func (m *member) is(role string) bool { return m.status().Role == role }

// front is the service behind something that is told of each request.
func (r *rig) front(asked func()) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		asked()
		r.world.ServeHTTP(w, req)
	}))
	r.t.Cleanup(s.Close)
	return s.URL
}

// warm reports whether it stands by and has read the stream.
func (m *member) warm() bool {
	s := m.status()
	ready, _ := fetch(m.addr, "/readyz")
	return s.Role == web.RoleStandby && s.Standby != nil && s.Standby.CaughtUp && ready == http.StatusOK
}

// became waits until the member is the writer and has stored an event, and returns how long that took.
func (m *member) became(t *testing.T) time.Duration {
	t.Helper()
	began := time.Now()
	eventually(t, "the next writer", func() bool {
		s := m.status()
		return s.Role == web.RoleWriter && s.NATS.Claim > 0
	})
	return time.Since(began)
}

// The lease goes round by every way in which a process ends: each event is stored once
// and in order, nothing ends that lives, and nothing is announced again.
func TestTakeovers(t *testing.T) {
	if testing.Short() {
		t.Skip("the race detector does not see the binary")
	}
	t.Parallel()
	r := newRig(t, lively(simulator.NextFrozen))
	dirs := []string{t.TempDir(), t.TempDir()}
	now := r.member(dirs[0])
	eventually(t, "events", func() bool { return stored(t, r.nc) > 90 })
	for round := range 6 {
		next := r.member(dirs[(round+1)%2])
		eventually(t, "a warm standby", next.warm)
		if code, body := fetch(next.addr, "/api/v1/rooms"); code != http.StatusServiceUnavailable || !strings.Contains(body, now.status().Writer.Instance) {
			t.Errorf("rooms of the standby: %d %s", code, body)
		}
		eventually(t, "the writer to know of it", func() bool {
			l := now.status().Lease
			return l != nil && len(l.Standbys) == 1
		})
		before := next.status()
		switch round % 3 {
		case 0:
			if status := now.stop(); status != 0 {
				t.Errorf("exit status %d:\n%s", status, now.output)
			}
			if took := next.became(t); took > 2*time.Second {
				t.Errorf("after a stop: %v\n%s", took, next.output)
			}
		case 1:
			now.kill()
			if took := next.became(t); took > leaseTime+2*time.Second {
				t.Errorf("after SIGKILL: %v", took)
			}
		case 2:
			if err := now.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			if took := next.became(t); took > leaseTime+2*time.Second {
				t.Errorf("while the writer is frozen: %v", took)
			}
			if err := now.cmd.Process.Signal(syscall.SIGCONT); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the thawed one to stand by", now.warm)
			if status := now.stop(); status != 0 {
				t.Errorf("exit status %d:\n%s", status, now.output)
			}
		}
		if epoch := next.status().Outbox.Epoch; before.Outbox.Epoch != epoch && before.Outbox.Assigned > 0 {
			t.Errorf("round %d: a warm standby begins an epoch: %s after %s\n%s", round, epoch, before.Outbox.Epoch, next.output)
		}
		if n := bytes.Count([]byte(next.output.String()), []byte("state is rebuilt")); n > 0 {
			t.Errorf("round %d: %d rebuilds\n%s", round, n, next.output)
		}
		now = next
	}
	events := settle(t, r.nc, r.world)
	t.Logf("%d events: %s", len(events), count(events))
	if status := now.stop(); status != 0 {
		t.Errorf("exit status %d:\n%s", status, now.output)
	}
}

// Only the writer asks the service. One that is cut off and knows of a standby asks no
// more before the standby begins; one that is alone goes on.
func TestCutOff(t *testing.T) {
	if testing.Short() {
		t.Skip("the race detector does not see the binary")
	}
	t.Parallel()
	for _, alone := range []bool{true, false} {
		t.Run(fmt.Sprintf("alone %t", alone), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, lively(simulator.NextFrozen))
			wire := newTap(t, r.port)
			var last atomic.Int64 // when the first one asked last
			front := r.front(func() { last.Store(time.Now().UnixNano()) })
			first := r.member(t.TempDir(), "NATS_URL="+wire.URL(), "ROOMWATCH_ENDPOINT="+front)
			eventually(t, "events", func() bool { return stored(t, r.nc) > 90 })
			var second *member
			if !alone {
				second = r.member(t.TempDir())
				eventually(t, "a warm standby", second.warm)
				eventually(t, "the writer to know of it", func() bool { return len(first.status().Lease.Standbys) == 1 })
			}
			wire.Watch(func(bool, []byte) []byte { return nil })
			cut := time.Now()
			if alone {
				time.Sleep(3 * leaseTime)
				if since := time.Since(time.Unix(0, last.Load())); since > 2*time.Second {
					t.Errorf("it has not asked for %v", since)
				}
				wire.Watch(nil)
			} else {
				second.became(t)
				if took := time.Since(cut); took > leaseTime+2*time.Second {
					t.Errorf("the standby began after %v", took)
				}
				began := second.status().Writer.Since
				if asked := time.Unix(0, last.Load()); asked.After(began.Time) {
					t.Errorf("it asked %v after the next one had begun", asked.Sub(began.Time))
				}
				wire.Watch(nil)
				eventually(t, "the first to stand by", first.warm)
			}
			settle(t, r.nc, r.world)
		})
	}
}

// A copy of the directory of a running roomwatch waits, as any other one does; who comes
// back with the directory itself does not.
func TestCopiedDirectory(t *testing.T) {
	if testing.Short() {
		t.Skip("the race detector does not see the binary")
	}
	t.Parallel()
	r := newRig(t, lively(simulator.NextFrozen))
	data, copied := t.TempDir(), t.TempDir()
	first := r.member(data)
	eventually(t, "events", func() bool { return stored(t, r.nc) > 90 })
	if status := first.stop(); status != 0 {
		t.Fatalf("exit status %d:\n%s", status, first.output)
	}
	first = r.member(data)
	first.became(t)
	file, err := os.ReadFile(filepath.Join(data, "state.db"))
	if err != nil {
		t.Fatal(err)
	}
	first.kill()
	if err := os.WriteFile(filepath.Join(copied, "state.db"), file, 0o600); err != nil {
		t.Fatal(err)
	}
	again := r.member(data)
	if took := again.became(t); took > 3*time.Second {
		t.Errorf("with the directory itself it took %v\n%s", took, again.output)
	}
	other := r.member(copied)
	eventually(t, "the copy to stand by", other.warm)
	if !again.is(web.RoleWriter) {
		t.Errorf("the copy has taken over:\n%s", other.output)
	}
	settle(t, r.nc, r.world)
}

// The vendor calls one address: what reaches a standby there is told by the writer, long
// before its next sweep, and by the standby itself once it has become the writer.
func TestCallbacksReachTheWriter(t *testing.T) {
	t.Parallel()
	r := newRig(t, simulator.Config{Seed: 6, Rooms: 60, Quota: -1})
	hook := freeAddr(t)
	rarely := []string{"ROOMWATCH_INTERVAL=10m", "ROOMWATCH_REQUESTS_PER_SECOND=9.5", "ROOMWATCH_POINT_READS_PER_SECOND=50", "ROOMWATCH_PROBE_SHARE=0", everyEvent}
	first := r.member(t.TempDir(), append(slices.Clone(rarely), "ROOMWATCH_WEBHOOK_ADDR="+freeAddr(t), "ROOMWATCH_WEBHOOK_TOKEN="+callbackToken)...)
	eventually(t, "the rooms", func() bool { return stored(t, r.nc) >= 60 })
	second := r.member(t.TempDir(), append(slices.Clone(rarely), "ROOMWATCH_WEBHOOK_ADDR="+hook, "ROOMWATCH_WEBHOOK_TOKEN="+callbackToken)...)
	eventually(t, "a warm standby", second.warm)
	r.sendCallbacks(simulator.Callbacks{URL: "http://" + hook + webhook.Path, Token: callbackToken})
	news := func(of string, n int) {
		t.Helper()
		before, had, id := r.world.Requests(), stored(t, r.nc), "opened "+of
		over := r.world.Truth().Live()[n].RoomID
		if err := errors.Join(r.world.Open(id), r.world.Close(over)); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the news "+of, func() bool { return stored(t, r.nc) >= had+2 })
		events := readStream(t, r.nc)
		if opened, closed := eventsOf(events, id), eventsOf(events, over); opened != "created" || closed != "created ended" {
			t.Errorf("%s: the new room was %s, the old one %s", of, opened, closed)
		}
		if asked := r.world.Requests() - before; asked > 0 {
			t.Errorf("%s: %d requests for the list: the sweeps told it", of, asked)
		}
	}
	news("at the standby", 3)
	if s := second.status(); !second.is(web.RoleStandby) || s.Callbacks == nil || s.Callbacks.Taken < 2 {
		t.Errorf("the standby: %s, callbacks %+v", s.Role, s.Callbacks)
	}
	// The writer counts what came by way of the standby: silence there would be an alert.
	_, metrics := fetch(first.addr, "/metrics")
	passed := regexp.MustCompile(`(?m)^roomwatch_poller_callbacks_total{outcome="from_standby"} ([2-9]|\d\d+)$`)
	if s := first.status(); s.Callbacks == nil || s.Callbacks.Taken < 2 || s.Callbacks.Last.IsZero() || !passed.MatchString(metrics) {
		t.Errorf("the writer: callbacks %+v, metrics %q", s.Callbacks, lines(metrics, "roomwatch_poller_callbacks_total{"))
	}
	if status := first.stop(); status != 0 {
		t.Errorf("exit status %d:\n%s", status, first.output)
	}
	second.became(t)
	eventually(t, "a sweep of the next writer", func() bool { return strings.Contains(second.output.String(), "first sweep complete") })
	news("at the writer", 7)
	settle(t, r.nc, r.world)
	if status := second.stop(); status != 0 {
		t.Errorf("exit status %d:\n%s", status, second.output)
	}
}
