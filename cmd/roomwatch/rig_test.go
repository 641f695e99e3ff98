package main

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
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"roomwatch/diff/logtest"
	"roomwatch/poller/simulator"
	"roomwatch/publisher/natstest"
)

const (
	testApp = 88888888
	testKey = "5bd2850fff3ecb11d7c805251c51ee463a25727bddc2385f3fa8bfee1bb93b5e"
)

// buildDaemon makes the real binary, once for all tests.
var buildDaemon = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "roomwatch-test")
	if err != nil {
		return "", err
	}
	bin := filepath.Join(dir, "roomwatch")
	out, err := exec.Command("go", "build", "-o", bin, ".").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return bin, nil
})

// A rig is a simulated service and a NATS server for daemons to run between.
type rig struct {
	t     *testing.T
	world *simulator.Service
	api   *httptest.Server
	dir   string // of the NATS server
	port  int
	nats  *server.Server
	nc    *nats.Conn
}

func newRig(t *testing.T, c simulator.Config) *rig {
	t.Helper()
	c.SDKAppID, c.SecretKey = testApp, testKey
	world, err := simulator.New(c)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, world: world, api: httptest.NewServer(world), dir: t.TempDir(), port: server.RANDOM_PORT}
	t.Cleanup(r.api.Close)
	r.startNATS()
	r.port = r.nats.Addr().(*net.TCPAddr).Port
	t.Cleanup(func() { r.stopNATS() })
	r.nc, err = nats.Connect(r.nats.ClientURL(), nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.nc.Close)
	return r
}

// startNATS starts the server on the files and the port it had before.
func (r *rig) startNATS() {
	r.t.Helper()
	r.nats = natstest.Start(r.t, func(o *server.Options) { o.Port, o.StoreDir = r.port, r.dir })
}

func (r *rig) stopNATS() {
	r.nats.Shutdown()
	r.nats.WaitForShutdown()
}

// env is the configuration of a daemon on this rig. Later values win.
func (r *rig) env(data string, more ...string) []string {
	return append([]string{
		"ROOMWATCH_SDKAPPID=" + strconv.Itoa(testApp), "ROOMWATCH_SECRET_KEY=" + testKey,
		"ROOMWATCH_ENDPOINT=" + r.api.URL, "ROOMWATCH_REQUESTS_PER_SECOND=500", "ROOMWATCH_INTERVAL=100ms",
		"NATS_URL=nats://127.0.0.1:" + strconv.Itoa(r.port), "ROOMWATCH_DATA_DIR=" + data, "ROOMWATCH_HTTP_ADDR=off",
	}, more...)
}

// A daemonProcess is the real binary.
type daemonProcess struct {
	t      *testing.T
	cmd    *exec.Cmd
	output *logtest.Buffer
	exited chan struct{}
	killed sync.Once
}

// startProcess runs the binary with nothing but env in its environment.
func startProcess(t *testing.T, env []string, args ...string) *daemonProcess {
	t.Helper()
	bin, err := buildDaemon()
	if err != nil {
		t.Fatal(err)
	}
	return startBinary(t, bin, env, args...)
}

func startBinary(t *testing.T, bin string, env []string, args ...string) *daemonProcess {
	t.Helper()
	if testing.Short() {
		t.Skip("the race detector, for which tests are short, does not see the binary")
	}
	p := &daemonProcess{t: t, cmd: exec.Command(bin, args...), output: &logtest.Buffer{}, exited: make(chan struct{})} //nolint:noctx // killed by hand
	p.cmd.Env = env
	p.cmd.Stdout, p.cmd.Stderr = p.output, p.output
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait() // the state tells how it ended
		close(p.exited)
	}()
	t.Cleanup(p.kill)
	return p
}

// kill ends the process without any chance to tidy up.
func (p *daemonProcess) kill() {
	p.killed.Do(func() { _ = p.cmd.Process.Kill() })
	<-p.exited
}

// wait returns the exit status.
func (p *daemonProcess) wait(within time.Duration) int {
	p.t.Helper()
	select {
	case <-p.exited:
	case <-time.After(within):
		p.t.Fatalf("still running after %s:\n%s", within, p.output)
	}
	return p.cmd.ProcessState.ExitCode()
}

// stop asks the process to end, as a supervisor does, and returns the exit status.
func (p *daemonProcess) stop() int {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Fatal(err)
	}
	return p.wait(10 * time.Second)
}

// eventually fails the test if ok does not become true.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); {
		if ok() {
			return
		}
		<-time.After(20 * time.Millisecond)
	}
	t.Fatalf("never: %s", what)
}

// newTap stands between a daemon and the NATS server of a rig.
func newTap(t *testing.T, port int) *natstest.Tap {
	t.Helper()
	return natstest.NewTap(t, "127.0.0.1:"+strconv.Itoa(port))
}

// isEvent reports whether a chunk on its way to the server holds an event.
func isEvent(chunk []byte) bool {
	return bytes.Contains(chunk, []byte("HPUB live.room.")) || bytes.Contains(chunk, []byte("HPUB live.viewcount."))
}

// isAck reports whether a chunk from the server holds the stream's word that it
// has stored something.
func isAck(chunk []byte) bool {
	return bytes.Contains(chunk, []byte(`"stream":"LIVE"`)) && bytes.Contains(chunk, []byte(`"seq":`))
}

// count returns how many events there are of each type.
func count(events []wireEvent) string {
	n := map[string]int{}
	for _, e := range events {
		n[e.Type]++
	}
	return strings.TrimSpace(fmt.Sprintf("%d created, %d ended, %d view counts", n["room.created"], n["room.ended"], n["viewcount.changed"]))
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := listenFree(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// fetch returns the status and body of a page of the daemon, or 0 and the error's text.
func fetch(addr, path string) (int, string) {
	resp, err := http.Get("http://" + addr + path) //nolint:noctx // loopback
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(b)
}
