package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"roomwatch/cmd/roomwatch/web"
)

// Without one of the permissions by which several roomwatch know of each other, detection
// goes on, a second one stands by and takes over, a copy of the directory of the writer
// waits, and whoever is refused says so once.
func TestPeerPermissions(t *testing.T) {
	if testing.Short() {
		t.Skip("the race detector does not see the binary")
	}
	t.Parallel()
	for _, lacks := range []permission{
		{"roomwatch", publishing, "roomwatch.*.process.*"}, {"roomwatch", subscribing, "roomwatch.*.process.*"},
		{"roomwatch", publishing, "roomwatch.*.peer.callback"}, {"roomwatch", subscribing, "roomwatch.*.peer.callback"},
	} {
		t.Run(lacks.way+" "+lacks.subject, func(t *testing.T) {
			t.Parallel()
			// The permission to be asked over NATS allows them, too: it is not there either.
			newGuardedOf(t, lacks, true).hasPeers(t)
		})
	}
}

func (g *guarded) hasPeers(t *testing.T) {
	var all []*member
	start := func(data string, more ...string) *member {
		addr := freeAddr(t)
		env := append(g.as("roomwatch", data), "ROOMWATCH_LEASE="+leaseTime.String(), "ROOMWATCH_HTTP_ADDR="+addr, "ROOMWATCH_KV_BUCKET=")
		all = append(all, &member{startProcess(t, append(env, more...), "run"), addr})
		return all[len(all)-1]
	}
	data, hook := t.TempDir(), freeAddr(t)
	first := start(data)
	eventually(t, "events", func() bool { return g.messages() > 30 && first.is(web.RoleWriter) })
	second := start(t.TempDir(), "ROOMWATCH_WEBHOOK_ADDR="+hook, "ROOMWATCH_WEBHOOK_TOKEN="+callbackToken)
	eventually(t, "a warm standby", second.warm)
	for range 3 {
		callBack(t, hook, "Live.CallbackAfterCreateRoom", g.world.Truth().Live()[0].RoomID)
	}
	second.kill()
	first.kill()
	again := start(data) // it asks whether the one before is there
	again.became(t)
	file, err := os.ReadFile(filepath.Join(data, "state.db"))
	if err != nil {
		t.Fatal(err)
	}
	copied := t.TempDir()
	if err := os.WriteFile(filepath.Join(copied, "state.db"), file, 0o600); err != nil {
		t.Fatal(err)
	}
	next := start(copied)
	eventually(t, "a warm standby on a copy", next.warm)
	if !again.is(web.RoleWriter) {
		t.Errorf("it has taken over:\n%s", next.output)
	}
	before := g.messages()
	if status := again.stop(); status != 0 {
		t.Errorf("exit status %d:\n%s", status, again.output)
	}
	if took := next.became(t); took > 2*time.Second {
		t.Errorf("after a stop: %v\n%s", took, next.output)
	}
	if err := g.world.Open("a new one"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "events of the next writer", func() bool { return g.messages() > before+1 })
	told := false
	for i, m := range all {
		said := lines(lines(m.output.String(), "level=WARN"), "Permissions Violation")
		told = told || g.lacks.names(said)
		seen := map[string]bool{}
		for line := range strings.Lines(said) {
			if what := violation.FindString(line); seen[what] {
				t.Errorf("process %d says it again:\n%s", i, said)
			} else {
				seen[what] = true
			}
		}
	}
	if !told {
		t.Errorf("without %+v nobody says so", g.lacks)
	}
}
