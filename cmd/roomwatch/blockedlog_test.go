//go:build unix

package main

import (
	"errors"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/diff/logtest"
	"roomwatch/poller/simulator"
)

// fullPipe returns the end of a pipe that takes not one byte more.
func fullPipe(t *testing.T) *os.File {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = r.Close(), w.Close() })
	if err := w.SetWriteDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if n, err := w.Write(make([]byte, 16<<20)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("the pipe takes %d bytes: %v", n, err)
	}
	return w
}

// silentServer takes connections and says nothing. dialled reports whether one has
// come since it did last.
func silentServer(t *testing.T) (url string, dialled func() bool) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // closed by the test
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	conns := make(chan net.Conn, 100)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conns <- c
		}
	}()
	return "nats://" + l.Addr().String(), func() bool {
		select {
		case c := <-conns:
			t.Cleanup(func() { _ = c.Close() })
			return true
		default:
			return false
		}
	}
}

// Each of the three daemons works and stops while nobody reads its log, from its
// first line on, and lives through a terminal that closes.
func TestLogThatNobodyReads(t *testing.T) {
	t.Parallel()
	bins := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", bins, "roomwatch/cmd/roomwatch", "roomwatch/cmd/roomnotify", "roomwatch/cmd/roomaudit").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	r := newRig(t, simulator.Config{Seed: 4, Rooms: 30, Opens: 3, Quota: -1})
	js, err := jetstream.New(r.nc)
	if err != nil {
		t.Fatal(err)
	}
	rules := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(rules, []byte("targets:\n  hook: {kind: webhook, url: \"${HOOK_URL}\", secret: \"${HOOK_SECRET}\"}\nrules:\n  all: {events: [room.created], targets: [hook]}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	addr, trail, impatient := freeAddr(t), t.TempDir(), &http.Client{Timeout: 5 * time.Second}
	dead, dialled := silentServer(t)
	for _, tt := range []struct {
		name  string
		env   []string
		works func() bool
	}{
		{"roomwatch", r.env(t.TempDir(), "ROOMWATCH_HTTP_ADDR="+addr), func() bool {
			res, err := impatient.Get("http://" + addr + "/readyz") //nolint:noctx // bounded
			if err != nil {
				return false
			}
			return res.Body.Close() == nil && res.StatusCode == http.StatusOK
		}},
		{"roomaudit", []string{"NATS_URL=" + r.nats.ClientURL(), "ROOMAUDIT_HTTP_ADDR=off", "ROOMAUDIT_DIR=" + trail}, func() bool {
			files, err := filepath.Glob(filepath.Join(trail, "*"))
			return err == nil && len(files) > 0
		}},
		{"roomnotify", []string{
			"NATS_URL=" + r.nats.ClientURL(), "ROOMNOTIFY_RULES=" + rules, "ROOMNOTIFY_NAME=blocked", "HOOK_URL=" + r.api.URL,
			"HOOK_SECRET=whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=", "ROOMNOTIFY_SDKAPPID=88888888",
		}, func() bool {
			_, err := js.Consumer(t.Context(), "LIVE", "blocked-hook")
			return err == nil
		}},
		// A stop before the start is done is no failure.
		{"roomwatch", append(r.env(t.TempDir()), "NATS_URL="+dead), dialled},
		{"roomaudit", []string{"NATS_URL=" + dead, "ROOMAUDIT_HTTP_ADDR=off", "ROOMAUDIT_DIR=" + t.TempDir()}, dialled},
		{"roomnotify", []string{"NATS_URL=" + dead, "ROOMNOTIFY_RULES=" + rules, "ROOMNOTIFY_NAME=dead", "HOOK_URL=" + r.api.URL, "HOOK_SECRET=whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="}, dialled},
	} {
		cmd := exec.Command(filepath.Join(bins, tt.name), "run") //nolint:noctx // killed by hand
		cmd.Env, cmd.Stderr = tt.env, fullPipe(t)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		p := &daemonProcess{t: t, cmd: cmd, output: &logtest.Buffer{}, exited: make(chan struct{})}
		go func() {
			_ = cmd.Wait() // the state tells how it ended
			close(p.exited)
		}()
		t.Cleanup(p.kill)
		eventually(t, tt.name+" works", tt.works)
		if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		if status := p.stop(); status != 0 {
			t.Errorf("%s: exit status %d: %s", tt.name, status, cmd.ProcessState)
		}
	}
}
