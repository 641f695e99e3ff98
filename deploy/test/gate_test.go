package test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// aStub stands for every program that .ci/run starts. What a case breaks comes before
// what it does otherwise; what it is to compile becomes a copy of it.
const aStub = `#!/bin/sh
me=${0##*/}
echo "$me $*" >>"$STARTED"
case "$me $*" in
BROKEN
"ahead "*) mkdir -p "$1" && cp "$0" "$1/golangci-lint" && cp "$0" "$1/govulncheck" ;;
"go test -c -o "*) cp "$0" "$4" ;;
"gofmt "*) exit ;;
esac
echo "--- PASS: $me"
`

// What .ci/run makes of steps that fail: it fails, too, and says which it was. All that
// it starts are stubs, but for what it measures and kills with.
func TestGate(t *testing.T) {
	for _, tt := range []struct {
		name, broken string
		env          string
		status       int
		says         []string
		last         string // what is started last
	}{
		{"all is well", "", "", 0, []string{"== a simulated day", "== status page", "== deploy, for at most "}, "deploy"},
		{"tests", `"go test -timeout "*) exit 3 ;;`, "", 3, []string{"failed with status 3: tests"}, "go test -timeout"},
		{"formatting", `"gofmt "*) echo one.go; exit ;;`, "", 1, []string{"one.go", "failed with status 1: formatting"}, "gofmt"},
		{"modules", `"go mod "*) exit 1 ;;`, "", 1, []string{"failed with status 1: modules"}, "go mod"},
		{"vet", `"go vet "*) exit 1 ;;`, "", 1, []string{"failed with status 1: vet"}, "go vet"},
		{"races", `"go test -race "*) exit 1 ;;`, "", 1, []string{"failed with status 1: tests under the race"}, "go test -race"},
		{"ahead", `"ahead "*) echo linker trouble; exit 7 ;;`, "", 1, []string{"linker trouble\nahead, which ran beside the steps, ended with status 7", "failed with status 1: what was compiled"}, "go test -race"},
		{"a simulated day does not compile", `"go test -c -o "*/week*) exit 1 ;;`, "", 1, []string{"failed with status 1: a simulated day of"}, "go test -c"},
		{"lint", `"golangci-lint "*) exit 1 ;;`, "", 1, []string{"failed with status 1: lint"}, "golangci-lint"},
		{"lint, while others run beside it", `"golangci-lint "*) exit 1 ;; "week "*|"together "*) sleep 300 ;;`, "", 1, []string{"failed with status 1: lint"}, ""},
		{"vulnerabilities", `"vulnerabilities "*) exit 3 ;;`, "", 3, []string{"failed with status 3: known vulnerabilities"}, "vulnerabilities"},
		{"asyncapi", `"asyncapi "*) exit 1 ;;`, "", 1, []string{"failed with status 1: AsyncAPI"}, "asyncapi"},
		{"examples", `"examples "*) exit 1 ;;`, "", 1, []string{"failed with status 1: first steps"}, "examples"},
		{"browser", `"browser "*) exit 1 ;;`, "", 1, []string{"failed with status 1: status page"}, "browser"},
		{"the simulated day", `"week "*) echo a room is missing; exit 1 ;;`, "", 1, []string{"a room is missing\nday, which ran beside the steps, ended with status 1", "failed with status 1: the simulated day"}, ""},
		{"a simulated day of no test", `"week "*) echo testing: warning: no tests to run; exit ;;`, "", 1, []string{"failed with status 1: the simulated day"}, ""},
		{"a pair that is killed", `"together "*) kill -9 $$ ;;`, "", 1, []string{"pair, which ran beside the steps, ended with status 137", "failed with status 1: several"}, ""},
		{"a pair of no test", `"together "*) exit ;;`, "", 1, []string{"failed with status 1: several"}, ""},
		{"deploy", `"deploy "*) exit 4 ;;`, "", 4, []string{"failed with status 4: deploy"}, "deploy"},
		{"deploy at its limit", `"timeout "*) shift; exec /usr/bin/timeout 10 "$@" ;; "deploy "*) exec sleep 300 ;;`, "", 124, []string{"deploy: not finished in ", "failed with status 124: deploy"}, ""},
		{"no time for deploy", "", "SECONDS=2701", 1, []string{"no time is left for the deploy step: the steps before it took 27"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			status, said, started := gate(t, tt.broken, tt.env)
			if status != tt.status {
				t.Errorf("status %d, want %d:\n%s", status, tt.status, said)
			}
			for _, each := range tt.says {
				if !strings.Contains(said, each) {
					t.Errorf("it does not say %q:\n%s", each, said)
				}
			}
			last := ""
			for line := range strings.Lines(started) {
				if name, _, _ := strings.Cut(line, " "); name != "ahead" && name != "week" && name != "together" { // those are beside the steps
					last = line
				}
			}
			if !strings.HasPrefix(last, tt.last) {
				t.Errorf("it goes on after what failed:\n%s", started)
			}
			if tried := strings.Contains(started, "\ndeploy "); tried != strings.Contains(said, "== deploy, ") {
				t.Errorf("deploy was tried: %v\n%s", tried, said)
			}
		})
	}
}

// gate runs .ci/run, with stubs for all it starts, and returns its status, what it says and what it started.
func gate(t *testing.T, broken, env string) (status int, said, started string) {
	t.Helper()
	dir := t.TempDir()
	steps, programs := filepath.Join(dir, ".ci"), filepath.Join(dir, "bin")
	if err := errors.Join(os.Mkdir(steps, 0o755), os.Mkdir(programs, 0o755), os.MkdirAll(filepath.Join(dir, "cmd/roomwatch/daemon"), 0o755)); err != nil {
		t.Fatal(err)
	}
	real, err := os.ReadDir(filepath.Join(top, ".ci"))
	if err != nil {
		t.Fatal(err)
	}
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	stub := strings.Replace(aStub, "BROKEN", broken, 1)
	for _, f := range real {
		text, err := os.ReadFile(filepath.Join(top, ".ci", f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if f.Name() != "run" && strings.HasPrefix(string(text), "#!") {
			text = []byte(stub)
		}
		write(filepath.Join(steps, f.Name()), string(text))
	}
	for _, name := range []string{"go", "gofmt", "openssl"} {
		write(filepath.Join(programs, name), stub)
	}
	if strings.Contains(broken, `"timeout "`) {
		write(filepath.Join(programs, "timeout"), stub)
	}
	log := filepath.Join(dir, "started")
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute) // longer than it takes, shorter than what a stub sleeps
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(steps, "run"))
	cmd.WaitDelay = time.Second // a stub may still have its output
	cmd.Env = append(os.Environ(), "PATH="+programs+":"+os.Getenv("PATH"), "STARTED="+log, "TMPDIR="+dir, env)
	text, _ := cmd.CombinedOutput()
	list, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(text), string(list)
}
