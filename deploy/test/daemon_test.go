package test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"syscall"
	"testing"
	"time"
)

// top is the root of the repository.
const top = "../.."

// programs are what is deployed; all their metrics have to be shown.
var programs = []string{"roomwatch", "roomnotify", "roomaudit"}

// mustRun names the variable with which a test that this machine cannot run is a failure.
const mustRun = "ROOMWATCH_DEPLOY_TEST_MUST_RUN"

// cannot ends a test that needs more of the machine than it has.
func cannot(t *testing.T, format string, args ...any) {
	t.Helper()
	reason := fmt.Sprintf(format, args...)
	if os.Getenv(mustRun) != "" {
		t.Fatalf("%s\nThis machine cannot try it, and %s says that it has to be tried: run it as root, where mount and network namespaces are allowed.", reason, mustRun)
	}
	t.Skip(reason)
}

// TestMain removes what is made once for all tests.
func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "roomwatch-deploy-test")
	if err == nil {
		err = os.Setenv("TMPDIR", dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	status := m.Run()
	if err := os.RemoveAll(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		status = 1
	}
	os.Exit(status)
}

// built makes all of them, once for all tests, and returns where they are.
// As in the image, so that they need nothing around them, and are compiled once for both.
var built = sync.OnceValues(func() (string, error) {
	if dir := os.Getenv(inNetwork); dir != "" {
		return dir, nil
	}
	dir, err := os.MkdirTemp("", "roomwatch-deploy-test")
	if err != nil {
		return "", err
	}
	build := exec.Command("go", "build", "-trimpath", "-o", dir+"/", "./cmd/roomwatch", "./cmd/roomnotify", "./cmd/roomaudit")
	build.Dir, build.Env = top, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return dir, nil
})

// program returns where one of them is.
func program(t *testing.T, name string) string {
	t.Helper()
	dir, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, name)
}

// demo runs the demo and returns its metrics when it has stored events, those of a
// roomnotify that has sent a notification, and those of a roomaudit that has recorded.
func demo(t *testing.T) (ofRoomwatch, ofRoomnotify, ofRoomaudit string) {
	t.Helper()
	bin := program(t, "roomwatch")
	addr, nats := freeAddr(t), freeAddr(t)
	_, port, err := net.SplitHostPort(nats)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	cmd := exec.CommandContext(t.Context(), bin, "demo")
	cmd.Env = []string{"ROOMWATCH_DATA_DIR=" + t.TempDir(), "ROOMWATCH_NATS_PORT=" + port, "ROOMWATCH_HTTP_ADDR=" + addr, "ROOMWATCH_WEBHOOK_ADDR=127.0.0.1:0", "ROOMWATCH_WEBHOOK_TOKEN=token", "ROOMWATCH_KV_BUCKET=live_rooms"}
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
			return string(body), notified(t, "nats://"+nats), audited(t, "nats://"+nats)
		}
	}
	t.Fatal("the demo has stored no event")
	return "", "", ""
}

// audited runs roomaudit and returns its metrics when it has recorded events.
func audited(t *testing.T, nats string) (metrics string) {
	t.Helper()
	bin := program(t, "roomaudit")
	addr := freeAddr(t)
	cmd := exec.CommandContext(t.Context(), bin, "run")
	cmd.Env = []string{"ROOMAUDIT_DIR=" + t.TempDir(), "ROOMAUDIT_HTTP_ADDR=" + addr, "NATS_URL=" + nats}
	runUntilHealthy(t, cmd, func() error {
		body, err := get(t, "http://"+addr+"/metrics")
		if metrics = string(body); err == nil && regexp.MustCompile(`(?m)^roomaudit_messages_recorded_total [1-9]`).MatchString(metrics) {
			return nil
		}
		return errors.Join(err, errors.New("it has recorded nothing"))
	})
	return metrics
}

// notified runs roomnotify and returns its metrics when it has sent a notification.
func notified(t *testing.T, nats string) (metrics string) {
	t.Helper()
	bin := program(t, "roomnotify")
	hook := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer hook.Close()
	rules := filepath.Join(t.TempDir(), "rules.yaml")
	const text = "targets:\n  hook: {kind: webhook, url: '${HOOK}', secret: '${SECRET}'}\nrules:\n  all: {events: [room.created, room.ended], milestones: [1, 10, 100, 1000], targets: [hook]}\n"
	if err := os.WriteFile(rules, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	addr := freeAddr(t)
	cmd := exec.CommandContext(t.Context(), bin, "run")
	cmd.Env = []string{"ROOMNOTIFY_RULES=" + rules, "ROOMNOTIFY_HTTP_ADDR=" + addr, "NATS_URL=" + nats, "HOOK=" + hook.URL, "SECRET=whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="}
	runUntilHealthy(t, cmd, func() error {
		body, err := get(t, "http://"+addr+"/metrics")
		if metrics = string(body); err == nil && regexp.MustCompile(`roomnotify_notifications_sent_total\{target="hook"\} [1-9]`).MatchString(metrics) {
			return nil
		}
		return errors.Join(err, errors.New("it has sent no notification"))
	})
	return metrics
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
	out := &output{}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	err := within(healthy)
	if stopped := stop(cmd); err != nil || stopped != nil {
		t.Errorf("%v, %v\n%s", err, stopped, out)
	}
}

// within asks until healthy returns nil, for half a minute.
func within(healthy func() error) error {
	err := errors.New("never asked")
	for end := time.Now().Add(30 * time.Second); err != nil && time.Now().Before(end); <-time.After(100 * time.Millisecond) {
		err = healthy()
	}
	return err
}

// stop stops cmd as a service manager does, and returns how it ended.
func stop(cmd *exec.Cmd) error {
	_ = cmd.Process.Signal(syscall.SIGTERM)
	return cmd.Wait()
}

// An output is what a program writes, to be read while it runs.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}
