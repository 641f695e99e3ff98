package test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// top is the root of the repository.
const top = "../.."

// binary makes roomwatch, once for all tests.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "roomwatch-deploy-test")
	if err != nil {
		return "", err
	}
	bin := filepath.Join(dir, "roomwatch")
	build := exec.Command("go", "build", "-o", bin, "./cmd/roomwatch")
	build.Dir = top
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return bin, nil
})

// demo runs the demo and returns its metrics when it has stored events.
func demo(t *testing.T) string {
	t.Helper()
	bin, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	addr := freeAddr(t)
	var out bytes.Buffer
	cmd := exec.CommandContext(t.Context(), bin, "demo")
	cmd.Env = []string{"ROOMWATCH_DATA_DIR=" + t.TempDir(), "ROOMWATCH_NATS_PORT=0", "ROOMWATCH_HTTP_ADDR=" + addr, "ROOMWATCH_WEBHOOK_ADDR=127.0.0.1:0", "ROOMWATCH_WEBHOOK_TOKEN=token", "ROOMWATCH_KV_BUCKET=live_rooms"}
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("demo: %v\n%s", err, &out)
		}
	}()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); <-time.After(100 * time.Millisecond) {
		body, err := get(t, "http://"+addr+"/metrics")
		if err == nil && bytes.Contains(body, []byte(`roomwatch_publisher_events_total{type="room.created"} `)) {
			return string(body)
		}
	}
	t.Fatal("the demo has stored no event")
	return ""
}

func get(t *testing.T, url string) ([]byte, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	return io.ReadAll(resp.Body)
}

func freeAddr(t *testing.T) string {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// runUntilHealthy starts cmd, waits until healthy returns nil, and stops it.
func runUntilHealthy(t *testing.T, cmd *exec.Cmd, healthy func() error) {
	t.Helper()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	err := errors.New("never asked")
	for end := time.Now().Add(30 * time.Second); err != nil && time.Now().Before(end); <-time.After(100 * time.Millisecond) {
		err = healthy()
	}
	_ = cmd.Process.Signal(syscall.SIGTERM)
	if stopped := cmd.Wait(); err != nil || stopped != nil {
		t.Errorf("%v, %v\n%s", err, stopped, &out)
	}
}
