package main

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"roomwatch/poller/simulator"
)

// An application is one of several that share a cluster.
type application struct {
	world        *simulator.Service
	source       string
	env          []string
	writer, next *member
}

// Two applications share a cluster, a stream and the bucket of the leases. Each has a
// writer and a standby of its own: what becomes of those of one touches the other's not.
func TestTwoApplications(t *testing.T) {
	if testing.Short() {
		t.Skip("the race detector does not see the binary")
	}
	t.Parallel()
	config := simulator.Config{Seed: 21, Rooms: 45, Opens: 1, Enters: 20, Recreates: 0.3, Quota: -1}
	r, c := newClusterRig(t, config)
	config.SDKAppID, config.SecretKey, config.Seed = 77777777, testKey, 22
	other, err := simulator.New(config)
	if err != nil {
		t.Fatal(err)
	}
	api := httptest.NewServer(other)
	t.Cleanup(api.Close)
	shared := []string{"NATS_URL=" + c.URL(), "ROOMWATCH_STREAM_REPLICAS=3", "ROOMWATCH_INTERVAL=500ms"}
	apps := []*application{
		{world: r.world, source: fmt.Sprintf("/live/%d", testApp), env: shared},
		{world: other, source: "/live/77777777", env: append(shared[:len(shared):len(shared)], "ROOMWATCH_SDKAPPID=77777777", "ROOMWATCH_ENDPOINT="+api.URL)},
	}
	for _, a := range apps {
		a.writer = r.member(t.TempDir(), a.env...)
		a.writer.became(t)
		a.next = r.member(t.TempDir(), a.env...)
	}
	for _, a := range apps {
		a.paired(t)
	}
	for round := range 4 {
		a, beside := apps[round%2], apps[(round+1)%2]
		before := beside.writer.status()
		if round < 2 {
			a.writer.kill()
		} else if status := a.writer.stop(); status != 0 {
			t.Errorf("exit status %d:\n%s", status, a.writer.output)
		}
		if took := a.next.became(t); took > leaseTime+pairSlow+2*time.Second {
			t.Errorf("round %d: the next writer of %s after %v\n%s", round, a.source, took, a.next.output)
		}
		if after := beside.writer.status(); after.Role != before.Role || after.Writer == nil || *after.Writer != *before.Writer {
			t.Errorf("round %d: the writer of %s was %+v, is %+v", round, beside.source, before.Writer, after.Writer)
		}
		a.writer, a.next = a.next, r.member(t.TempDir(), a.env...)
		a.paired(t)
	}
	for _, a := range apps {
		events := settleOf(t, r.nc, a.world, a.source)
		t.Logf("%s: %d events: %s", a.source, len(events), count(events))
	}
	for _, a := range apps {
		for _, m := range []*member{a.next, a.writer} {
			if status := m.stop(); status != 0 {
				t.Errorf("exit status %d:\n%s", status, m.output)
			}
		}
	}
	v := startProcess(t, r.env(t.TempDir(), shared...), "verify")
	if status := v.wait(30 * time.Second); status != 0 || !strings.Contains(v.output.String(), "2 applications") {
		t.Errorf("verify: exit status %d:\n%s", status, v.output)
	}
}

// paired waits until the writer knows of the standby, and of nobody else.
func (a *application) paired(t *testing.T) {
	t.Helper()
	eventually(t, "a warm standby of "+a.source, a.next.warm)
	eventually(t, "the writer of "+a.source+" to know of it", func() bool {
		l := a.writer.status().Lease
		return l != nil && len(l.Standbys) == 1 && l.Standbys[0].Instance != ""
	})
}
