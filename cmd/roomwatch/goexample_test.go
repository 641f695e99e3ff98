//go:build examples

package main

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"roomwatch/poller/simulator"
)

// TestGoExample builds the module in deploy/examples/go, which uses the packages of
// a clone as anybody's module does, and runs it while rooms open, with a restart of
// it and of NATS in between: it welcomes each new room once, and those that were
// live before nobody.
//
//	.ci/examples
func TestGoExample(t *testing.T) {
	bin := filepath.Join(t.TempDir(), "greeter")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", bin, ".")
	build.Dir = "../../deploy/examples/go"
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	r := newRig(t, simulator.Config{Seed: 6, Rooms: 20, Opens: 20, Quota: -1, Next: simulator.NextKey})
	startProcess(t, r.env(t.TempDir()), "run")
	eventually(t, "events", func() bool { return stored(t, r.nc) > 30 })
	var got []string
	start := func() *daemonProcess { return startBinary(t, bin, []string{"NATS_URL=" + r.nats.ClientURL()}) }
	welcomed := func(p *daemonProcess) (ids []string) {
		for line := range strings.Lines(p.output.String()) {
			if id, _, ok := strings.Cut(line, " welcome, "); ok {
				ids = append(ids, id)
			}
		}
		return ids
	}
	end := func(p *daemonProcess) {
		t.Helper()
		if status := p.stop(); status != 0 {
			t.Errorf("exit status %d:\n%s", status, p.output)
		}
		got = append(got, welcomed(p)...)
	}
	first := start()
	eventually(t, "rooms are welcomed", func() bool { return len(welcomed(first)) > 10 })
	end(first)
	second := start()
	eventually(t, "rooms are welcomed after a restart", func() bool { return len(welcomed(second)) > 10 })
	r.stopNATS()
	r.startNATS()
	before := len(welcomed(second))
	eventually(t, "rooms are welcomed after a restart of NATS", func() bool { return len(welcomed(second)) > before+10 })
	var want []string
	for _, e := range settle(t, r.nc, r.world) {
		if e.Type == "room.created" && !e.Data.Baseline {
			want = append(want, e.ID)
		}
	}
	eventually(t, "all rooms are welcomed", func() bool { return len(got)+len(welcomed(second)) >= len(want) })
	end(second)
	slices.Sort(got) // rooms are welcomed side by side
	got = slices.Compact(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("welcomed\n%v\nwant\n%v", got, want)
	}
}
