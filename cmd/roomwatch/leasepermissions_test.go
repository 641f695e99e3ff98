package main

import (
	"slices"
	"strings"
	"sync"
	"testing"

	"roomwatch/cmd/roomwatch/web"
)

// Without a permission for the bucket of the lease, as with those of a file from before
// there was one, roomwatch watches and names what lacks, once; if the lease was asked for,
// it ends. With all of them a second one stands by.
func TestLeasePermissions(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for requests that NATS does not answer")
	}
	t.Parallel()
	if _, err := buildDaemon(); err != nil {
		t.Fatal(err)
	}
	lines := slices.DeleteFunc(allowed(t), func(p permission) bool { return !p.ofLease() || strings.HasPrefix(p.subject, "roomwatch.") })
	if len(lines) != 4 {
		t.Fatalf("the file has %v", lines)
	}
	var wg sync.WaitGroup
	for _, lacks := range append(lines, permission{user: "nobody"}) {
		wg.Go(func() {
			t.Run("without "+lacks.subject, func(t *testing.T) { newGuarded(t, lacks).hasLease(t) })
		})
	}
	wg.Wait()
}

func (g *guarded) hasLease(t *testing.T) {
	addr := freeAddr(t)
	m := &member{startProcess(t, append(g.as("roomwatch", t.TempDir()), "ROOMWATCH_HTTP_ADDR="+addr), "run"), addr}
	eventually(t, "events", func() bool { return g.messages() > 30 && m.is(web.RoleWriter) })
	if g.lacks.subject == "" {
		addr := freeAddr(t)
		second := &member{startProcess(t, append(g.as("roomwatch", t.TempDir()), "ROOMWATCH_HTTP_ADDR="+addr), "run"), addr}
		eventually(t, "a warm standby", second.warm)
		if status := m.stop(); status != 0 {
			t.Errorf("exit status %d:\n%s", status, m.output)
		}
		second.became(t)
		return
	}
	out := lines(m.output.String(), `msg="lease is not available"`)
	if strings.Count(out, "\n") != 1 || !g.lacks.names(out) {
		t.Errorf("without %s it says:\n%s", g.lacks.subject, m.output)
	}
	told := slices.ContainsFunc(m.status().Conditions, func(c web.Condition) bool { return c.About == "lease" && c.Level == web.Degraded })
	if !told {
		t.Errorf("the status does not tell: %+v", m.status().Conditions)
	}
	p := startProcess(t, append(g.as("roomwatch", t.TempDir()), "ROOMWATCH_LEASE=15s"), "run")
	if status := p.wait(20e9); status != 2 || !g.lacks.names(p.output.String()) {
		t.Errorf("asked for, exit status %d:\n%s", status, p.output)
	}
	// One that may not have the lease has taken nothing from the one that writes.
	if out := m.output.String(); !m.is(web.RoleWriter) || strings.Contains(out, "taken over") {
		t.Errorf("the first one was disturbed:\n%s", out)
	}
}
