//go:build examples

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"roomwatch/diff/logtest"
	"roomwatch/publisher"
)

// TestBucketExamples lets clients in Go, in JavaScript and on the command line list the
// live rooms from the bucket and watch it, as a user with the least permissions. Each
// shows all rooms, and then an end and a new room. The command line is tried where NATS_CLI
// names the nats command.
//
//	.ci/examples
func TestBucketExamples(t *testing.T) {
	for _, user := range []string{"ROOMWATCH", "SUBSCRIBER", "ROOMNOTIFY", "ROOMAUDIT"} {
		t.Setenv(user+"_NATS_PASSWORD", readerPassword)
	}
	t.Setenv("ROOMWATCH_NATS_PASSWORD", writerPassword)
	rooms := filepath.Join(t.TempDir(), "rooms")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", rooms, "./rooms")
	build.Dir = "../../deploy/examples/go"
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	g := newGuarded(t, permission{})
	startProcess(t, g.as("roomwatch", t.TempDir()), "run")
	eventually(t, "the bucket", func() bool { return g.stream("KV_"+bucketName).State.Msgs == 30 })
	outputs := map[string]*logtest.Buffer{}
	commands := map[string][]string{"Go": {rooms}, "JavaScript": {"node", "rooms.mjs"}}
	if nats := os.Getenv("NATS_CLI"); nats != "" { // the nats command, which takes minutes to build
		commands["command line"] = []string{nats, "--server", g.nats.ClientURL(), "--user", "subscriber", "--password", readerPassword, "kv", "watch", bucketName}
	}
	for name, command := range commands {
		out := &logtest.Buffer{}
		outputs[name] = out
		cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
		cmd.Dir = "../../deploy/examples/javascript"
		cmd.Env = append(os.Environ(), "NATS_URL="+g.nats.ClientURL(), "NATS_USER=subscriber", "NATS_PASSWORD="+readerPassword)
		cmd.Stdout, cmd.Stderr = out, out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cmd.Wait() }) // killed with the test's context
	}
	lives := g.world.Truth().Lives
	for name, out := range outputs {
		eventually(t, "all rooms in "+name, func() bool {
			for _, l := range lives {
				if !strings.Contains(out.String(), publisher.BucketKey(testApp, l.RoomID)) {
					return false
				}
			}
			return true
		})
	}
	if err := g.world.Close(lives[0].RoomID); err != nil {
		t.Fatal(err)
	}
	if err := g.world.Open("newcomer/1"); err != nil {
		t.Fatal(err)
	}
	ended := publisher.BucketKey(testApp, lives[0].RoomID)
	for name, out := range outputs {
		eventually(t, "an end and a new room in "+name, func() bool {
			end := lines(lines(out.String(), ended), "ended")
			return end != "" && strings.Contains(out.String(), strconv.Itoa(testApp)+".newcomer=2F1")
		})
	}
}
