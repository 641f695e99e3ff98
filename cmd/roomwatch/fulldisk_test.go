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

	"github.com/nats-io/nats.go"

	"roomwatch/cmd/roomwatch/config"
	"roomwatch/cmd/roomwatch/daemon"
	"roomwatch/diff/logtest"
	"roomwatch/poller/simulator"
)

// smallDisk returns a directory on a disk of its own, of some megabytes.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("no small disk can be made here, which takes root on Linux: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", "--lazy", dir).CombinedOutput(); err != nil { //nolint:noctx // the test's context is over
			t.Errorf("umount: %v: %s", err, out)
		}
	})
	return dir
}

// fill leaves no room on the disk of a directory, until the file that it returns is removed.
func fill(t *testing.T, dir string) string {
	t.Helper()
	path := filepath.Join(dir, "filler")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	for size := 1 << 20; size > 0; {
		if _, err := f.Write(bytes.Repeat([]byte{'x'}, size)); err != nil {
			size /= 2
		}
	}
	return path
}

// The disk of the embedded server is full for a while. When it has room again,
// the server is restarted, once, and the stream has every event once.
func TestEmbeddedServerAfterAFullDisk(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for requests that NATS does not answer")
	}
	dir := smallDisk(t)
	r := newRig(t, simulator.Config{Seed: 7, Rooms: 30, Enters: 60, Quota: -1})
	for _, kv := range r.env(dir, "NATS_URL=", "ROOMWATCH_NATS_PORT=0") {
		k, v, _ := strings.Cut(kv, "=")
		t.Setenv(k, v)
	}
	cfg, err := config.Read((*config.Config).Validate)
	if err != nil {
		t.Fatal(err)
	}
	var out logtest.Buffer
	d, err := daemon.New(t.Context(), &cfg, cfg.Logger(&out))
	if err != nil {
		t.Fatal(err)
	}
	const patience = 4 * time.Second // twice this is more than what a request waits for
	d.EmbeddedPatience = patience
	nc, err := nats.Connect(d.NATSURL(), nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("run: %v\n%s", err, &out)
		}
		nc.Close()
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}()

	eventually(t, "events", func() bool { return d.Status().Outbox.Stored > 60 })
	filler := fill(t, dir)
	eventually(t, "a failure", func() bool { return d.Status().NATS.LastError != nil })
	if text := fmt.Sprint(d.Status().Conditions); !strings.Contains(text, "disk of ROOMWATCH_DATA_DIR has room") {
		t.Errorf("the conditions do not say what helps: %s", text)
	}
	restarts := func() int { return strings.Count(out.String(), "nats-server is restarted") }
	<-time.After(2 * patience)
	if n := restarts(); n > 0 {
		t.Errorf("%d starts although the disk is full:\n%s", n, &out)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	before := d.Status().Outbox.Stored
	eventually(t, "events after there is room again", func() bool {
		s := d.Status()
		return s.NATS.LastError == nil && s.Outbox.Stored > before+60
	})
	if n := restarts(); n != 1 || !strings.Contains(lines(out.String(), "nats-server is restarted"), "no space left on device") {
		t.Errorf("%d starts, want one that names the reason:\n%s", n, &out)
	}
	settle(t, nc, r.world)
}
