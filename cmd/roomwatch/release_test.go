package main

import (
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"roomwatch/poller/simulator"
)

// version and --version say the same, and what the release sets wins.
func TestVersion(t *testing.T) {
	_, command := runWith(t, nil, "version")
	_, flag := runWith(t, nil, "--version")
	if command != flag || !strings.Contains(command, runtime.Version()) || !strings.HasPrefix(command, "roomwatch ") {
		t.Errorf("version says\n%s--version says\n%s", command, flag)
	}
	bin := filepath.Join(t.TempDir(), "roomwatch")
	build := exec.CommandContext(t.Context(), "go", "build", "-ldflags", "-X roomwatch/cmd/internal/program.releaseVersion=v7.8.9 -X roomwatch/cmd/internal/program.releaseCommit=abcdef", "-o", bin, ".")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	out, err := exec.CommandContext(t.Context(), bin, "version").Output()
	if want := "roomwatch v7.8.9\ncommit abcdef\n" + runtime.Version(); err != nil || !strings.HasPrefix(string(out), want) {
		t.Errorf("version says %v\n%swant\n%s", err, out, want)
	}
}

// The probe of a container: as the daemon, so its answer.
func TestHealthcheck(t *testing.T) {
	r := newRig(t, simulator.Config{Seed: 1, Rooms: 1})
	_, port, err := net.SplitHostPort(freeAddr(t))
	if err != nil {
		t.Fatal(err)
	}
	if status, out := runWith(t, []string{"ROOMWATCH_HTTP_ADDR=127.0.0.1:" + port}, "healthcheck"); status != 1 || !strings.Contains(out, "start `roomwatch run`") {
		t.Errorf("without a daemon: exit status %d: %s", status, out)
	}
	// Another interval than the daemon's is no concern of the probe.
	startProcess(t, r.env(t.TempDir(), "ROOMWATCH_HTTP_ADDR=127.0.0.1:"+port), "run")
	eventually(t, "a healthy daemon", func() bool {
		status, _ := runWith(t, []string{"ROOMWATCH_HTTP_ADDR=0.0.0.0:" + port, "ROOMWATCH_INTERVAL=nonsense"}, "healthcheck")
		return status == 0
	})

	ill := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }))
	defer ill.Close()
	for _, tt := range []struct {
		addr   string
		status int
		want   string
	}{
		{ill.Listener.Addr().String(), 1, "500"},
		{"off", 2, "ROOMWATCH_HTTP_ADDR is off"},
		{"nonsense", 2, "write the host:port"},
		{"127.0.0.1:99999", 2, "write the host:port"},
	} {
		if status, out := runWith(t, []string{"ROOMWATCH_HTTP_ADDR=" + tt.addr}, "healthcheck"); status != tt.status || !strings.Contains(out, tt.want) {
			t.Errorf("%s: exit status %d: %s", tt.addr, status, out)
		}
	}
}

func TestReachable(t *testing.T) {
	for addr, want := range map[string]string{
		":8080": "127.0.0.1:8080", "0.0.0.0:80": "127.0.0.1:80",
		"[::]:8080": "[::1]:8080", "10.0.0.7:8080": "10.0.0.7:8080", "localhost:1": "localhost:1",
	} {
		if got := reachable(addr); got != want {
			t.Errorf("reachable(%q) = %q, want %q", addr, got, want)
		}
	}
}

// A file fills in what is not set. A problem in it names file and line, and no value.
func TestEnvFile(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := file("good.env", "# roomwatch\nROOMWATCH_SDKAPPID=88888888\nROOMWATCH_SECRET_KEY=k e y\nROOMWATCH_HTTP_ADDR=off\nROOMWATCH_INTERVAL=nonsense\n")
	broken := file("broken.env", "ROOMWATCH_SDKAPPID=88888888\nexport ROOMWATCH_SECRET_KEY=hunter2\n")
	tests := []struct {
		name string
		env  []string
		args []string
		want string
		not  string
	}{
		{name: "a flag", args: []string{"check", "--env-file", good}, want: `ROOMWATCH_INTERVAL is "nonsense"`, not: "ROOMWATCH_SDKAPPID is missing"},
		{name: "a variable", env: []string{"ROOMWATCH_ENV_FILE=" + good}, args: []string{"check"}, want: `ROOMWATCH_INTERVAL is "nonsense"`},
		{name: "the flag wins", env: []string{"ROOMWATCH_ENV_FILE=" + broken}, args: []string{"--env-file=" + good, "check"}, want: `ROOMWATCH_INTERVAL is "nonsense"`},
		{name: "a variable that is set wins", env: []string{"ROOMWATCH_INTERVAL=5y"}, args: []string{"check", "--env-file", good}, want: `ROOMWATCH_INTERVAL is "5y"`},
		{name: "for every command", args: []string{"healthcheck", "--env-file", good}, want: "ROOMWATCH_HTTP_ADDR is off"},
		{name: "broken", args: []string{"run", "--env-file", broken}, want: "--env-file: " + broken + ":2: white space in the name"},
		{name: "not there", env: []string{"ROOMWATCH_ENV_FILE=" + dir + "/none"}, args: []string{"run"}, want: "ROOMWATCH_ENV_FILE: open " + dir + "/none"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("ROOMWATCH_ENV_FILE", "")
			status, out := runWith(t, tt.env, tt.args...)
			if status == 0 || !strings.Contains(out, tt.want) || tt.not != "" && strings.Contains(out, tt.not) {
				t.Errorf("exit status %d, want %q in:\n%s", status, tt.want, out)
			}
			if (tt.name == "broken" || tt.name == "not there") && status != 2 {
				t.Errorf("exit status %d, want 2", status)
			}
			if strings.Contains(out, "hunter2") || strings.Contains(out, "k e y") {
				t.Errorf("tells a secret:\n%s", out)
			}
		})
	}
}

// What tells how roomwatch is used works whatever is configured.
func TestHelpNeedsNoConfiguration(t *testing.T) {
	missing := "ROOMWATCH_ENV_FILE=" + filepath.Join(t.TempDir(), "none")
	for _, args := range [][]string{
		{"version"}, {"--version"}, {"help"}, {"help", "config"}, {"tail", "--help"}, {"completion", "bash"}, {"__complete", "ta"},
	} {
		if status, out := runWith(t, []string{missing}, args...); status != 0 {
			t.Errorf("%q: exit status %d: %s", args, status, out)
		}
	}
	if status, out := runWith(t, []string{missing}, "tail"); status != 2 {
		t.Errorf("tail: exit status %d: %s", status, out)
	}
}

// The library makes the man pages from the commands, whatever is configured.
func TestManPages(t *testing.T) {
	if testing.Short() {
		t.Skip("links the program once more")
	}
	dir := filepath.Join(t.TempDir(), "man1")
	cmd := exec.CommandContext(t.Context(), "go", "run", "-tags", "man", ".", "man", dir)
	cmd.Env = append(os.Environ(), "ROOMWATCH_ENV_FILE="+filepath.Join(t.TempDir(), "none"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	page, err := os.ReadFile(filepath.Join(dir, "roomwatch-tail.1"))
	if err != nil || !strings.Contains(string(page), "RoomId") {
		t.Errorf("the page of tail: %v\n%s", err, page)
	}
}

// The library makes the shell completion from the commands.
func TestCompletion(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if status, out := runWith(t, nil, "completion", shell); status != 0 || !strings.Contains(out, "roomwatch") {
			t.Errorf("%s: exit status %d", shell, status)
		}
	}
}
