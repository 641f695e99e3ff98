//go:build examples

package main

import (
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"roomwatch/diff/logtest"
)

// firstSteps has what the commands of the manuals print, by program and command.
// Some go on until Ctrl-C.
var firstSteps = map[string]struct {
	lasts  bool
	prints string
}{
	"roomwatch demo":   {lasts: true, prints: `Ctrl-C stops it`},
	"roomwatch tail":   {lasts: true, prints: `(?m)^[-\d]+ [:.\d]+Z  room\.created +live_\S+ +"`},
	"nats subscribe":   {lasts: true, prints: `Received on "live\.`},
	"roomwatch verify": {prints: `^\d+ events of \d+ rooms, .*: no inconsistencies\n$`},

	"roomnotify check":        {prints: `(?s)^rules +ok .*target +ok .*nats +ok `},
	"roomnotify test":         {prints: `^team +ok`},
	"roomnotify test --show":  {prints: `(?s)^team: slack at \S+ would get\n\{.*\[test\] Held back: `},
	"roomnotify test --since": {prints: `(?m)^team: notifications \d+, digests \d+, held back at the end \d+`},
	"roomnotify run":          {lasts: true, prints: `roomnotify started`},

	"roomaudit run":    {lasts: true, prints: `roomaudit started`},
	"roomaudit query":  {prints: `Z +room\.created +live_`},
	"roomaudit room":   {prints: `(?s)^(room live_.* began .* evidence |unknown: )`},
	"roomaudit verify": {prints: `: no line was changed, removed or inserted`},
	"roomaudit seal":   {prints: ` is sealed\n`},
	"roomaudit export": {prints: `^[1-9]\d* events added to `},
}

// A newcomer has a clone and an empty home, and types what the manuals say.
type newcomer struct {
	t    *testing.T
	dir  string
	env  []string
	last map[string]*typed // by program and command, those that last
	used map[string]bool
}

// typed is a command that was started.
type typed struct {
	line string
	cmd  *exec.Cmd
	out  logtest.Buffer
}

// The commands that the manuals begin with work as they stand there. Only what a manual
// leaves open is put in: a directory, the address of a chat, the id of a room, the path of
// the clone.
//
//	.ci/examples
func TestFirstSteps(t *testing.T) {
	n := newNewcomer(t)
	n.follow("README.md", "## First look", nil)
	demo := n.last["roomwatch demo"]
	n.waitFor("what README shows of the demo", func() bool { return len(lacking(n.read("README.md"), demo.out.String())) == 0 }, func() string {
		return strings.Join(lacking(n.read("README.md"), demo.out.String()), "\n")
	})
	n.subscribe()
	n.stop("roomwatch tail")
	n.stop("roomaudit run") // its manual starts it again
	room := regexp.MustCompile(`live_\S+`).FindString(demo.out.String())
	n.follow("cmd/roomaudit/README.md", "# roomaudit: an audit trail", map[string]string{"/var/lib/roomaudit": filepath.Join(n.dir, "audit"), "room R": "room " + room})
	n.notify()
	for name := range maps.Clone(n.last) {
		if name != "roomwatch demo" { // NATS is in it
			n.stop(name)
		}
	}
	n.stop("roomwatch demo")
	for name := range firstSteps {
		if !n.used[name] {
			t.Errorf("no manual shows %s", name)
		}
	}
}

func newNewcomer(t *testing.T) *newcomer {
	t.Helper()
	n := &newcomer{t: t, dir: t.TempDir(), last: map[string]*typed{}, used: map[string]bool{}}
	n.clone()
	bin := t.TempDir()
	if cli := os.Getenv("NATS_CLI"); cli != "" { // the nats command, which takes minutes to build
		if err := os.Symlink(cli, filepath.Join(bin, "nats")); err != nil {
			t.Fatal(err)
		}
	}
	n.env = []string{"PATH=" + bin + ":" + os.Getenv("PATH"), "HOME=" + t.TempDir()}
	for _, name := range []string{"GOCACHE", "GOMODCACHE", "GOPROXY"} { // nothing is fetched or compiled twice
		value, err := exec.CommandContext(t.Context(), "go", "env", name).Output()
		if err != nil {
			t.Fatal(err)
		}
		n.env = append(n.env, name+"="+strings.TrimSpace(string(value)))
	}
	return n
}

// clone clones the repository. What is not committed yet is tried, too.
func (n *newcomer) clone() {
	n.t.Helper()
	git := func(args ...string) string {
		n.t.Helper()
		var said strings.Builder
		cmd := exec.CommandContext(n.t.Context(), "git", args...)
		cmd.Dir, cmd.Stderr = "../..", &said
		out, err := cmd.Output()
		if err != nil {
			n.t.Fatalf("git %q: %v\n%s", args, err, said.String())
		}
		return string(out)
	}
	git("clone", "--quiet", ".", n.dir)
	others := git("ls-files", "-z", "--others", "--exclude-standard") + git("diff", "--name-only", "--no-renames", "-z", "HEAD")
	for name := range strings.SplitSeq(strings.TrimRight(others, "\x00"), "\x00") {
		if name == "" {
			continue
		}
		n.t.Logf("not committed yet: %s", name)
		b, err := os.ReadFile(filepath.Join("../..", name))
		if os.IsNotExist(err) {
			if err := os.Remove(filepath.Join(n.dir, name)); err != nil && !os.IsNotExist(err) { // it was never committed
				n.t.Fatal(err)
			}
			continue
		} else if err != nil {
			n.t.Fatal(err)
		}
		n.write(name, string(b))
		if info, err := os.Stat(filepath.Join("../..", name)); err != nil || os.Chmod(filepath.Join(n.dir, name), info.Mode()) != nil {
			n.t.Fatalf("%s: %v", name, err)
		}
	}
}

func (n *newcomer) read(name string) string {
	n.t.Helper()
	b, err := os.ReadFile(filepath.Join(n.dir, name))
	if err != nil {
		n.t.Fatal(err)
	}
	return string(b)
}

func (n *newcomer) write(name, text string) {
	n.t.Helper()
	path := filepath.Join(n.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		n.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		n.t.Fatal(err)
	}
}

var typedLine = regexp.MustCompile(`^    ((?:go run|go build|\./room\w+|export|nats) .*)$`)

// commands returns the lines of a section that are typed.
func (n *newcomer) commands(manual, heading string) (lines []string) {
	n.t.Helper()
	_, section, found := strings.Cut(n.read(manual), heading+"\n")
	if !found {
		n.t.Fatalf("%s has no %q", manual, heading)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	for line := range strings.Lines(section) {
		if m := typedLine.FindStringSubmatch(strings.TrimRight(line, "\n")); m != nil {
			lines = append(lines, m[1])
		}
	}
	if len(lines) == 0 {
		n.t.Fatalf("%s, %q, has no command", manual, heading)
	}
	return lines
}

// follow types the commands of a section, with what it leaves open put in.
func (n *newcomer) follow(manual, heading string, open map[string]string) {
	n.t.Helper()
	for _, line := range n.commands(manual, heading) {
		for from, to := range open {
			line = strings.ReplaceAll(line, from, to)
		}
		if set, ok := strings.CutPrefix(line, "export "); ok {
			n.env = append(n.env, set)
			continue
		}
		n.run(line)
	}
}

var natsCommand = regexp.MustCompile(`^(nats \w+)`)

var programAndCommand = regexp.MustCompile(`^(?:go run \./cmd/|\./)(\w+) (\w+)`)

// run types a command. It must print what it should, and end well unless it lasts.
func (n *newcomer) run(line string) {
	n.t.Helper()
	name := "go build"
	if m := programAndCommand.FindStringSubmatch(line); m != nil {
		name = m[1] + " " + m[2]
		for _, flag := range []string{" --since", " --show"} {
			if other := name + flag; strings.Contains(line+" ", flag+" ") && firstSteps[other].prints != "" {
				name = other
			}
		}
	} else if m := natsCommand.FindStringSubmatch(line); m != nil {
		name = m[1]
		if os.Getenv("NATS_CLI") == "" {
			n.used[name] = true
			n.t.Logf("not checked, since NATS_CLI names no nats command: %s", line)
			return
		}
	}
	want, known := firstSteps[name]
	if !known && name != "go build" {
		n.t.Fatalf("nobody knows what %q prints", line)
	}
	n.used[name] = true
	p := n.start(n.dir, line)
	prints := func() bool { return regexp.MustCompile(want.prints).MatchString(p.out.String()) }
	if !want.lasts {
		if err := p.cmd.Wait(); err != nil || !prints() {
			n.t.Errorf("%s: %v, not like %q:\n%s", line, err, want.prints, p.out.String())
		}
		return
	}
	n.last[name] = p
	n.waitFor(line, prints, p.out.String)
	if m := regexp.MustCompile(`export (NATS_URL=\S+)`).FindStringSubmatch(p.out.String()); m != nil {
		n.env = append(n.env, m[1]) // the demo found its port in use
	}
}

// start starts a command line in a group of its own, as a terminal does.
func (n *newcomer) start(dir, line string) *typed {
	n.t.Helper()
	p := &typed{line: line, cmd: exec.Command("bash", "-c", "exec "+line)} //nolint:noctx // its group is killed
	p.cmd.Dir, p.cmd.Env = dir, n.env
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { _ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) })
	return p
}

// stop types Ctrl-C.
func (n *newcomer) stop(name string) {
	n.t.Helper()
	p := n.last[name]
	delete(n.last, name)
	if err := syscall.Kill(-p.cmd.Process.Pid, syscall.SIGINT); err != nil {
		n.t.Fatalf("%s: %v:\n%s", p.line, err, p.out.String())
	}
	// After Ctrl-C go run itself has the status 1; it says so if that of the program is not 0.
	// The nats command leaves the signal to the system.
	err, ownStatus := p.cmd.Wait(), !strings.HasPrefix(p.line, "go run ") && !natsCommand.MatchString(p.line)
	if err != nil && ownStatus || regexp.MustCompile(`(?m)^(exit status|signal: )`).MatchString(p.out.String()) {
		n.t.Errorf("%s: %v:\n%s", p.line, err, p.out.String())
	}
}

// waitFor waits longer than others: the programs are compiled first.
func (n *newcomer) waitFor(what string, ok func() bool, said func() string) {
	n.t.Helper()
	for end := time.Now().Add(5 * time.Minute); !ok(); <-time.After(100 * time.Millisecond) {
		if time.Now().After(end) {
			n.t.Fatalf("never: %s:\n%s", what, said())
		}
	}
}

// subscribe runs README's subscriber in a module like the one that the manual says to copy.
func (n *newcomer) subscribe() {
	n.t.Helper()
	readme := n.read("README.md")
	replace := regexp.MustCompile("`(replace roomwatch => )/path/to/roomwatch`").FindStringSubmatch(n.read("cmd/roomwatch/README.md"))
	_, code, found := strings.Cut(readme, "```go\nerr := events.Subscribe(")
	code, _, closed := strings.Cut(code, "\n```")
	if replace == nil || !found || !closed {
		n.t.Fatal("README has no subscriber in Go, or the manual does not say where it finds the packages")
	}
	gomod := regexp.MustCompile(`replace roomwatch => \S+`).ReplaceAllString(n.read("deploy/examples/go/go.mod"), replace[1]+n.dir)
	n.write("yours/go.mod", gomod)
	n.write("yours/go.sum", n.read("deploy/examples/go/go.sum"))
	n.write("yours/main.go", `package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/publisher/events"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	url := nats.DefaultURL
	if other := os.Getenv("NATS_URL"); other != "" {
		url = other
	}
	nc, err1 := nats.Connect(url)
	js, err2 := jetstream.New(nc)
	err := events.Subscribe(`+code+`
	if err != nil || err1 != nil || err2 != nil {
		fmt.Println(err, err1, err2)
		os.Exit(1)
	}
}
`)
	p := n.start(filepath.Join(n.dir, "yours"), "go run .")
	n.last["go run"] = p
	n.waitFor("a welcome of README's subscriber", func() bool { return regexp.MustCompile(`(?m)^welcome, live_\w+$`).MatchString(p.out.String()) }, p.out.String)
}

// notify follows roomnotify's manual, with its rules and a chat that answers as Slack does.
func (n *newcomer) notify() {
	n.t.Helper()
	var posts logtest.Buffer
	chat := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(&posts, r.Body)
		_, _ = io.WriteString(w, "ok")
	}))
	n.t.Cleanup(chat.Close)
	const manual = "cmd/roomnotify/README.md"
	_, rules, _ := strings.Cut(n.read(manual), "```yaml\n")
	rules, _, found := strings.Cut(rules, "```")
	if !found {
		n.t.Fatalf("%s has no rules", manual)
	}
	n.write("rules.yaml", rules)
	n.follow(manual, "# roomnotify: webhooks, chats and e-mail", map[string]string{"https://hooks.slack.com/services/…": chat.URL})
	if !strings.Contains(posts.String(), `"text":`) {
		n.t.Errorf("the chat got %q", posts.String())
	}
}

// lacking returns the lines that README shows of the demo and the demo has printed no
// line of the same form as.
func lacking(readme, printed string) (lines []string) {
	have := strings.Split(form(printed), "\n")
	for line := range strings.Lines(readme) {
		if line = strings.TrimSpace(line); regexp.MustCompile(`^[-\d]+ [:.\d]+Z  `).MatchString(line) && !slices.Contains(have, form(line)) {
			lines = append(lines, line)
		}
	}
	if len(have) == 1 && len(lines) == 0 {
		lines = []string{"README shows nothing of the demo"}
	}
	return lines
}

// form takes out of lines of the demo what differs from room to room and from time to time.
func form(lines string) string {
	for _, each := range [][2]string{
		{`live_\w+`, "ID"}, {`"[^"]*"`, "NAME"}, {`owner \S+`, "owner OWNER"}, {`live for \S+`, "live for TIME"},
		{`[+−-]\d[\d,]*`, "CHANGE"}, {`\d[\d,]*`, "N"}, {` +`, " "},
	} {
		lines = regexp.MustCompile(each[0]).ReplaceAllString(lines, each[1])
	}
	return lines
}
