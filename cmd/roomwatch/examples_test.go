//go:build examples

package main

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/diff/logtest"
	"roomwatch/poller/simulator"
)

// TestJavaScriptExample and TestPythonExample run the subscribers in deploy/examples.
//
//	.ci/examples
func TestJavaScriptExample(t *testing.T) {
	tryExample(t, 0, "javascript", "node", "subscribe.mjs")
}

func TestPythonExample(t *testing.T) {
	if said, err := exec.CommandContext(t.Context(), "python3", "-c", "import nats").CombinedOutput(); err != nil {
		t.Skipf("not run, since Python has no client of NATS here: %v\n%s", err, said)
	}
	tryExample(t, -1, "python", "python3", "subscribe.py") // it leaves SIGTERM to the system
}

// tryExample runs a subscriber while rooms open, and stops it and NATS in between: it
// welcomes each new room, and those that were live before nobody. A stop ends it with a
// status.
func tryExample(t *testing.T, status int, dir string, command ...string) {
	t.Helper()
	r := newRig(t, simulator.Config{Seed: 6, Rooms: 20, Opens: 20, Quota: -1, Next: simulator.NextKey})
	startProcess(t, r.env(t.TempDir()), "run")
	eventually(t, "events", func() bool { return stored(t, r.nc) > 30 })
	var out logtest.Buffer
	var stop func()
	start := func() {
		cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
		cmd.Dir = "../../deploy/examples/" + dir
		cmd.Env = append(os.Environ(), "NATS_URL="+r.nats.ClientURL())
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		stop = func() {
			t.Helper()
			if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			if err := cmd.Wait(); cmd.ProcessState.ExitCode() != status {
				t.Errorf("the subscriber ended: %v\n%s", err, out.String())
			}
		}
	}
	welcomed := func() int { return strings.Count(out.String(), " welcome, ") }
	more := func(what string) {
		before := welcomed()
		eventually(t, what, func() bool { return welcomed() > before+10 })
	}
	start()
	more("rooms are welcomed")
	stop()
	start()
	more("rooms are welcomed after a restart")
	r.stopNATS()
	r.startNATS()
	more("rooms are welcomed after a restart of NATS")
	events := settle(t, r.nc, r.world)
	var want []string
	for _, e := range events {
		if e.Type == "room.created" && !e.Data.Baseline {
			want = append(want, e.ID)
		}
	}
	eventually(t, "all rooms are welcomed", func() bool { return strings.Contains(out.String(), want[len(want)-1]) })
	stop()
	var got []string
	for line := range strings.Lines(out.String()) {
		id, _, ok := strings.Cut(line, " welcome, ")
		if !ok {
			t.Logf("said: %s", line)
		} else if len(got) == 0 || got[len(got)-1] != id { // what is not acknowledged comes again
			got = append(got, id)
		}
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("welcomed\n%v\nwant\n%v", got, want)
	}
}

// As a user who may do no more than subscribe it works, too. When somebody removes
// its consumer, it ends and says so.
func TestJavaScriptExampleWithLeastPermissions(t *testing.T) {
	t.Setenv("ROOMWATCH_NATS_PASSWORD", writerPassword)
	t.Setenv("SUBSCRIBER_NATS_PASSWORD", readerPassword)
	t.Setenv("ROOMNOTIFY_NATS_PASSWORD", "notify-pass")
	t.Setenv("ROOMAUDIT_NATS_PASSWORD", "audit-pass")
	g := newGuarded(t, permission{})
	startProcess(t, g.as("roomwatch", t.TempDir()), "run")
	nc, err := nats.Connect(g.nats.ClientURL(), nats.UserInfo("subscriber", readerPassword))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	eventually(t, "events", func() bool { return stored(t, nc) >= 30 })
	var out logtest.Buffer
	cmd := exec.CommandContext(t.Context(), "node", "subscribe.mjs")
	cmd.Dir = "../../deploy/examples/javascript"
	cmd.Env = append(os.Environ(), "NATS_URL="+g.nats.ClientURL(), "NATS_USER=subscriber", "NATS_PASSWORD="+readerPassword)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := g.world.Open("newcomer"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a welcome", func() bool { return strings.Contains(out.String(), " welcome, ") })
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if err := js.DeleteConsumer(t.Context(), "LIVE", "greeter"); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() != 1 || !strings.Contains(out.String(), "stream LIVE, consumer greeter: ") {
		t.Errorf("it ended with %v:\n%s", err, out.String())
	}
}
