//go:build examples

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"roomwatch/diff/logtest"
	"roomwatch/poller/simulator"
	"roomwatch/publisher"
)

// natsLine is a command for the nats command line, as the manuals show it.
var natsLine = regexp.MustCompile(`(?m)^ {4}(?:\$ )?(nats [^#\n]*[^# \n])`)

// natsSays has, by how a command begins, what it shows of a roomwatch that runs. Those
// that end in … go on until they are stopped.
var natsSays = map[string]string{
	"nats subscribe …":        `Received .*live\.`,
	"nats kv watch …":         `PUT live_rooms > 88888888\.`,
	"nats kv get":             `"type":"room\.created"`,
	"nats stream get":         `watch\.alive`,
	"nats micro ls":           `roomwatch +│`,
	"nats micro info":         `sdkappid: 88888888`,
	"nats micro stats":        `rooms +│ +\d`,
	"nats req":                `"rooms":\[|"error":"room \\"nowhere\\" is not known to be live"|"health":"ok"`,
	"nats stream backup LIVE": `Received .* for stream "LIVE"`,
}

// TestNatsCommands runs the commands of the manuals for the nats command line, which
// NATS_CLI names; it takes minutes to build. Where there is none, .ci/examples says that
// they were not checked.
//
//	.ci/examples
func TestNatsCommands(t *testing.T) {
	cli := os.Getenv("NATS_CLI")
	if cli == "" {
		t.Skip("NATS_CLI names no nats command")
	}
	t.Parallel()
	r := newRig(t, simulator.Config{Seed: 11, Rooms: 30, Quota: -1})
	startProcess(t, r.env(t.TempDir(), "ROOMWATCH_KV_BUCKET="+bucketName), "run")
	pulse := "live.watch.alive." + strconv.Itoa(testApp)
	eventually(t, "the bucket and the pulse", func() bool {
		js, err := r.nc.JetStream()
		if err != nil {
			t.Fatal(err)
		}
		info, err := js.StreamInfo("KV_" + bucketName)
		_, alive := js.GetLastMsg("LIVE", pulse)
		return err == nil && info.State.Msgs >= 30 && alive == nil
	})
	key := publisher.BucketKey(testApp, r.world.Truth().Live()[0].RoomID)
	here := strings.NewReplacer("<sdkappid>", strconv.Itoa(testApp), "1400000000", strconv.Itoa(testApp), "88888888.room_id0", key)
	commands := []string{"nats micro info roomwatch", "nats stream backup LIVE DIR"} // in the text
	for _, manual := range []string{"../../README.md", "README.md"} {
		text, err := os.ReadFile(manual)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range natsLine.FindAllStringSubmatch(string(text), -1) {
			commands = append(commands, m[1])
		}
		if manual == "README.md" && (!strings.Contains(string(text), "`"+commands[0]) || !strings.Contains(string(text), "`"+commands[1])) {
			t.Errorf("the manual has no %q", commands[:2])
		}
	}
	if len(commands) < 10 {
		t.Errorf("the manuals have %q", commands)
	}
	dir := t.TempDir()
	if err := os.Symlink(cli, filepath.Join(dir, "nats")); err != nil {
		t.Fatal(err)
	}
	for _, command := range commands {
		t.Run(command, func(t *testing.T) { r.natsCommand(t, dir, command, here.Replace(command)) })
	}
}

// natsCommand runs one, in dir, where the nats command is.
func (r *rig) natsCommand(t *testing.T, dir, shown, command string) {
	want, endless := "", false
	for begin, says := range natsSays {
		until, is := strings.CutSuffix(begin, " …")
		if strings.HasPrefix(shown, until) {
			want, endless = says, is
		}
	}
	if want == "" {
		t.Fatal("natsSays does not have it")
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	out := &logtest.Buffer{}
	cmd := exec.CommandContext(ctx, "sh", "-c", "exec "+command)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, out, out
	cmd.Env = []string{"PATH=" + dir + ":" + os.Getenv("PATH"), "HOME=" + dir, "NATS_TIMEOUT=1m", "NATS_URL=" + r.nats.ClientURL()}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	defer func() {
		if t.Failed() {
			t.Logf("it shows:\n%s", out)
		}
	}()
	said := regexp.MustCompile(want)
	if endless {
		eventually(t, "what it shows", func() bool {
			if err := r.world.Open(fmt.Sprint("opened at ", time.Now().UnixNano())); err != nil { // there are news while it looks
				t.Fatal(err)
			}
			return said.MatchString(out.String())
		})
		stop()
		if err := <-ended; err == nil {
			t.Errorf("it has ended by itself:\n%s", out)
		}
		return
	}
	if err := <-ended; err != nil || !said.MatchString(out.String()) {
		t.Errorf("%v, want %s in:\n%s", err, want, out)
	}
}
