package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Each measurement runs, and what it prints is there and can be true. How fast anything was
// is no matter of a test: the binaries are built as the other tests build them, and the lists are small.
func TestMeasurements(t *testing.T) {
	if testing.Short() {
		t.Skip("runs daemons for a quarter of a minute")
	}
	bins := t.TempDir()
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", bins, "roomwatch/cmd/roombench", "roomwatch/cmd/roomwatch", "github.com/nats-io/nats-server/v2").CombinedOutput()
	if err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	tests := []struct {
		args  string
		check func(*testing.T, string)
	}{
		{"sweeps -rooms 100 -rounds 1", checkSweeps},
		{"quota -rooms 200 -sweeps 2 -readers 1", checkQuota},
		{"fresh -rooms 40 -next rank,frozen -opens 4 -enters 20 -watch 3s -wait 6s", checkFresh},
		{"takeover -rooms 200", checkTakeover},
	}
	t.Run("all", func(t *testing.T) { // ends before the binaries are removed
		for _, tt := range tests {
			args := strings.Fields(tt.args)
			t.Run(args[0], func(t *testing.T) {
				t.Parallel()
				tt.check(t, measure(t, bins, args...))
			})
		}
	})
}

// measure runs roombench and returns what it prints.
func measure(t *testing.T, bins string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute) // of a measurement that waits for what never comes
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(bins, "roombench"), append(args, "-bin", bins)...)
	cmd.Env = append(os.Environ(), "ROOMWATCH_INTERVAL=1s") // of the daemons, which inherit it: a small list is read at once
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("roombench %s: %v\n%s%s", strings.Join(args, " "), err, out, stderr.Bytes())
	}
	return string(out)
}

// after returns what a line has after its name.
func after(t *testing.T, out, name string) string {
	t.Helper()
	for line := range strings.Lines(out) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			return rest
		}
	}
	t.Fatalf("nothing is said of %q:\n%s", name, out)
	return ""
}

// scan reads what a line has after its name.
func scan(t *testing.T, out, name, format string, into ...any) {
	t.Helper()
	rest := strings.TrimSpace(after(t, out, name))
	if _, err := fmt.Sscanf(rest, format, into...); err != nil {
		t.Fatalf("%s: %q is not as %q: %v", name, rest, format, err)
	}
}

func checkSweeps(t *testing.T, out string) {
	var took, least, most, ratio, mib float64
	scan(t, out, "bare reading of 100 rooms", "%f (%f, %f)", &took, &least, &most)
	for _, name := range []string{"reading beside ready events", "first sweep", "nothing changed", "1 % changed", "all changed"} {
		scan(t, out, name, "%f (%f, %f) %f", &took, &least, &most, &ratio)
		if ratio <= 0 || took != least || took != most {
			t.Errorf("one round of %q took %v (%v, %v), %v times the bare reading", name, took, least, most, ratio)
		}
	}
	if scan(t, out, "peak resident memory", "%f MiB", &mib); mib < 5 || mib > 1000 {
		t.Errorf("the daemon had %v MiB", mib)
	}
}

func checkQuota(t *testing.T, out string) {
	var used, cpu float64
	var most, events int
	after(t, out, "2 sweeps of 200 rooms, 1 % changed each, 1 open pages")
	lag := after(t, out, "page read → stream's acknowledgement")
	_, counted, _ := strings.Cut(lag, "(")
	if _, err := fmt.Sscanf(counted, "%d events)", &events); err != nil || events == 0 {
		t.Errorf("no news was measured: %q", lag)
	}
	scan(t, out, "quota used while a sweep runs", "%f %%", &used)
	scan(t, out, "most requests in any second", "%d", &most)
	if used <= 0 || used > 110 || most == 0 || most > 10 { // a sweep of ten pages is measured to a hundredth of it
		t.Errorf("%v %% of the quota, at most %d requests in a second", used, most)
	}
	if scan(t, out, "CPU", "%f %%", &cpu); cpu <= 0 {
		t.Errorf("the daemon used %v %% of a core", cpu)
	}
}

func checkFresh(t *testing.T, out string) {
	first, second, found := strings.Cut(out, "40 rooms, 4 opened and 20 entered a second, latency 40ms, cursors frozen; changes of 3s\n")
	if !found || !strings.Contains(first, "cursors rank;") {
		t.Fatalf("not a table for each cursor:\n%s", out)
	}
	checkFreshTable(t, first)
	checkFreshTable(t, second)
}

func checkFreshTable(t *testing.T, out string) {
	for _, w := range ways() {
		fields := strings.Fields(after(t, out, w.name))
		if len(fields) != 9 {
			t.Fatalf("%s: %q", w.name, fields)
		}
		for i, name := range []string{"created", "created, 95 %", "ended", "ended, 95 %"} {
			if d, err := time.ParseDuration(fields[i]); err != nil || d <= 0 { // none: no news was counted
				t.Errorf("%s: the age of %s is %q", w.name, name, fields[i])
			}
		}
		var untold, wrong, most int
		var used float64
		if _, err := fmt.Sscanf(strings.Join(fields[4:], " "), "%d %d %f %% %d", &untold, &wrong, &used, &most); err != nil {
			t.Fatalf("%s: %q: %v", w.name, fields, err)
		}
		if wrong != 0 || used <= 0 || used > 100 {
			t.Errorf("%s: %d false ends, %v %% of the quota", w.name, wrong, used)
		}
		if reads := w.name != "sweeps alone"; reads != (most > 0) || most > 200 {
			t.Errorf("%s: at most %d point reads in a second", w.name, most)
		}
	}
}

func checkTakeover(t *testing.T, out string) {
	var rooms int
	var took float64
	if scan(t, out, "subjects of rooms in the stream", "%d, filled in %f s", &rooms, &took); rooms != 200 {
		t.Errorf("the stream has %d rooms", rooms)
	}
	for _, name := range []string{"a standby has read the stream in", "clean stop → the next one reads", "SIGKILL → the next one reads"} {
		if scan(t, out, name, "%f s", &took); took <= 0 {
			t.Errorf("%s: %v s", name, took)
		}
	}
}
