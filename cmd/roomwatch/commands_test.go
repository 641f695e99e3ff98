package main

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/cmd/roomwatch/config"
	"roomwatch/diff"
	"roomwatch/poller/simulator"
	"roomwatch/publisher/events"
)

// The newcomer's first command: events on the screen, a clean stop with Ctrl-C,
// and a second start that resumes where the first one was.
func TestDemo(t *testing.T) {
	env := []string{"ROOMWATCH_DATA_DIR=" + t.TempDir(), "ROOMWATCH_NATS_PORT=0", "ROOMWATCH_HTTP_ADDR=127.0.0.1:0"}
	for start := range 2 {
		p := startProcess(t, env, "demo")
		// A view count changes when the first sweep is over.
		eventually(t, "events on the screen", func() bool { return strings.Contains(p.output.String(), "viewcount.changed") })
		for _, s := range []os.Signal{syscall.SIGHUP, syscall.SIGINT} { // the first ends nothing
			if err := p.cmd.Process.Signal(s); err != nil {
				t.Fatal(err)
			}
		}
		if status := p.wait(10 * time.Second); status != 0 {
			t.Errorf("exit status %d:\n%s", status, p.output)
		}
		out := p.output.String()
		for _, hint := range []string{"roomwatch tail", "nats --server nats://127.0.0.1:", "export NATS_URL=nats://127.0.0.1:", "Status page: http://127.0.0.1:", "the next start resumes"} {
			if !strings.Contains(out, hint) {
				t.Errorf("start %d does not say %q:\n%s", start+1, hint, out)
			}
		}
		if first := start == 0; strings.Contains(out, "(was live already)") != first {
			t.Errorf("start %d: rooms that were live already: %t, want %t:\n%s", start+1, !first, first, out)
		}
	}
}

// A default port that is taken is replaced, and the demo says so. One that was set
// is not: the error names the variable.
func TestDemoPortsInUse(t *testing.T) {
	var taken []string // two ports
	for range 2 {
		l, err := listenFree(t.Context(), "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		taken = append(taken, l.Addr().String())
	}
	_, port, _ := strings.Cut(taken[0], ":")
	for name, value := range map[string]string{"ROOMWATCH_NATS_PORT": port, "ROOMWATCH_HTTP_ADDR": taken[1]} {
		env := []string{"ROOMWATCH_DATA_DIR=" + t.TempDir(), "ROOMWATCH_NATS_PORT=0", "ROOMWATCH_HTTP_ADDR=off", name + "=" + value}
		if status, out := runWith(t, env, "demo"); status != 1 || !strings.Contains(out, "set "+name+" to a free") {
			t.Errorf("with %s=%s: status %d\n%s", name, value, status, out)
		}
	}
	t.Setenv("ROOMWATCH_NATS_PORT", "")
	t.Setenv("ROOMWATCH_HTTP_ADDR", "")
	number, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	cfg := config.Config{NATSPort: number, HTTPAddr: taken[1]}
	moved, err := useFreePorts(t.Context(), &cfg)
	if err != nil || cfg.NATSPort == number || cfg.HTTPAddr == taken[1] {
		t.Errorf("ports in use are kept: %d, %s, %v", cfg.NATSPort, cfg.HTTPAddr, err)
	}
	for _, want := range []string{"Port " + port + " is in use", "ROOMWATCH_NATS_PORT", "Address " + taken[1] + " is in use", "ROOMWATCH_HTTP_ADDR"} {
		if !strings.Contains(moved, want) {
			t.Errorf("no %q in %q", want, moved)
		}
	}
}

// With the variables that it prints, roomwatch finds the simulator.
func TestSimulator(t *testing.T) {
	p := startProcess(t, nil, "simulator", "--addr", "127.0.0.1:0", "--rooms", "30")
	eventually(t, "its variables", func() bool { return strings.Contains(p.output.String(), "ROOMWATCH_SECRET_KEY=") })
	env := []string{"ROOMWATCH_DATA_DIR=" + t.TempDir(), "ROOMWATCH_NATS_PORT=0", "ROOMWATCH_HTTP_ADDR=off"}
	for line := range strings.Lines(p.output.String()) {
		if set, ok := strings.CutPrefix(strings.TrimSpace(line), "export "); ok {
			env = append(env, set)
		}
	}
	if status, out := runWith(t, env, "check"); status != 0 || !strings.Contains(out, "20 rooms on the first page") {
		t.Errorf("check: status %d\n%s", status, out)
	}
	if err := p.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if status := p.wait(10 * time.Second); status != 0 {
		t.Errorf("exit status %d:\n%s", status, p.output)
	}
	if status, out := runWith(t, nil, "simulator", "--rooms", "-1"); status != 2 || !strings.Contains(out, "--rooms -1") {
		t.Errorf("too few rooms: status %d\n%s", status, out)
	}
}

// An old world is left to itself: a new one begins, on the same state.
func TestWorldStart(t *testing.T) {
	dir := t.TempDir()
	first := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
	for _, tt := range []struct{ now, want time.Time }{
		{first, first},
		{first.Add(demoAge), first},
		{first.Add(demoAge + time.Second), first.Add(demoAge + time.Second)},
		{first, first}, // the clock was set back: the world cannot begin in the future
	} {
		got, err := worldStart(dir, tt.now)
		if err != nil || !got.Equal(tt.want) {
			t.Errorf("worldStart at %s = %s, %v, want %s", tt.now, got, err, tt.want)
		}
	}
	if err := os.WriteFile(dir+"/world.json", []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := worldStart(dir, first); err == nil || !strings.Contains(err.Error(), "world.json") {
		t.Errorf("a broken file: %v", err)
	}
	for _, no := range []string{"/dev/null", "/proc/none"} {
		if _, err := worldStart(no+"/demo", first); err == nil || !strings.Contains(err.Error(), "; set ROOMWATCH_DATA_DIR to") {
			t.Errorf("in %s: %v", no, err)
		}
	}
}

// check says what works and what does not, makes nothing, and shows no secret.
func TestCheck(t *testing.T) {
	r := newRig(t, simulator.Config{Seed: 1, Rooms: 30})
	data := t.TempDir()
	status, out := runWith(t, r.env(data), "check")
	for _, want := range []string{"configuration  ok", "service        ok", "20 rooms", "nats           ok", "stream         ok", "does not exist yet", "state          ok"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in:\n%s", want, out)
		}
	}
	if status != 0 {
		t.Errorf("exit status %d", status)
	}
	js, err := jetstream.New(r.nc)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.Stream(t.Context(), "LIVE"); err == nil {
		t.Error("check has made the stream")
	}
	if n := r.world.Requests(); n != 1 {
		t.Errorf("%d requests, want 1", n)
	}
	if err := os.WriteFile(filepath.Join(data, "state.db"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if status, out := runWith(t, r.env(data), "check"); status != 0 || strings.Contains(out, "state.db does not exist yet") ||
		!strings.Contains(out, "exists and is empty") {
		t.Errorf("with a state file of no bytes: status %d\n%s", status, out)
	}

	if status, out := runWith(t, append(r.env(data), "ROOMWATCH_REQUESTS_PER_SECOND=50"), "check"); status != 0 || !strings.Contains(out, "configuration  WARN    ROOMWATCH_REQUESTS_PER_SECOND is 50") {
		t.Errorf("with more requests than the vendor allows: status %d\n%s", status, out)
	}

	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "LIVE", Subjects: []string{"other.>"}}); err != nil {
		t.Fatal(err)
	}
	status, out = runWith(t, r.env(data, "ROOMWATCH_SECRET_KEY=wrong-key"), "check")
	for _, want := range []string{"service        FAILED", "70009", "stream         FAILED", "nats stream edit LIVE --subjects="} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in:\n%s", want, out)
		}
	}
	if status != 1 || strings.Contains(out, "wrong-key") {
		t.Errorf("exit status %d:\n%s", status, out)
	}

	p := startProcess(t, r.env(data, "ROOMWATCH_STREAM=OTHER", "ROOMWATCH_SUBJECT_PREFIX=mine"), "run")
	eventually(t, "the daemon", func() bool { return r.world.Requests() > 20 })
	if _, out = runWith(t, r.env(data), "check"); !strings.Contains(out, "in use by a running roomwatch") {
		t.Errorf("beside the daemon:\n%s", out)
	}
	p.stop()
}

// A stream that cannot hold what is promised ends the start with status 2 and
// the command that fixes it.
func TestUnfitStreamEndsTheStart(t *testing.T) {
	r := newRig(t, simulator.Config{Seed: 1, Rooms: 30, Quota: -1})
	js, err := jetstream.New(r.nc)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "LIVE", Subjects: []string{"live.>"}, NoAck: true}); err != nil {
		t.Fatal(err)
	}
	p := startProcess(t, r.env(t.TempDir()), "run")
	if status := p.wait(10 * time.Second); status != 2 {
		t.Errorf("exit status %d, want 2", status)
	}
	if out := p.output.String(); !strings.Contains(out, "nats stream edit LIVE --ack") {
		t.Errorf("the fix is not named:\n%s", out)
	}
}

// tail prints what it was asked for, for people and raw.
func TestTail(t *testing.T) {
	r := newRig(t, simulator.Config{Seed: 1, Rooms: 30, Quota: -1})
	data := t.TempDir()
	startProcess(t, r.env(data), "run")
	eventually(t, "the rooms", func() bool { return stored(t, r.nc) == 30 })
	room := r.world.Truth().Lives[3].RoomID
	if err := r.world.Enter(room, 5); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the change", func() bool { return stored(t, r.nc) == 31 })

	for _, tt := range []struct {
		args  []string
		lines int // 0: at least one, as one more comes every minute
		want  string
	}{
		{[]string{"tail", "--since", "1h"}, 31, "(was live already)"},
		{[]string{"tail", "--since", "1h", "--type", "viewcount.changed"}, 1, "(+5)"},
		{[]string{"tail", "--since", "1h", "--room", room}, 2, room},
		{[]string{"tail", "--since", "1h", "--type", "watch.alive"}, 0, "watching"},
		{[]string{"tail", "--since", "1h", "--room", room, "--type", "room.created", "--json"}, 1, `"type":"room.created"`},
		{[]string{"tail", "--since", "1h", "--type", "viewcount.changed", "--json"}, 1, `"evidence":{"by":"list","requests":["`},
	} {
		p := startProcess(t, r.env(data), tt.args...)
		eventually(t, strings.Join(tt.args, " "), func() bool {
			n := strings.Count(p.output.String(), "\n")
			return n > 0 && (n == tt.lines || tt.lines == 0)
		})
		out := p.output.String()
		if !strings.Contains(out, tt.want) {
			t.Errorf("%q: no %q in:\n%s", tt.args, tt.want, out)
		}
		if tt.args[len(tt.args)-1] == "--json" && !json.Valid([]byte(out)) {
			t.Errorf("%q: not JSON:\n%s", tt.args, out)
		}
		if status := p.stop(); status != 0 {
			t.Errorf("%q: exit status %d", tt.args, status)
		}
	}

	if err := r.nc.Publish("live.viewcount.changed.88888888.other", []byte("no event")); err != nil {
		t.Fatal(err)
	}
	p := startProcess(t, r.env(data), "tail", "--since", "1h")
	eventually(t, "a message of somebody else is passed over", func() bool {
		return strings.Contains(p.output.String(), "subject=live.viewcount.changed.88888888.other")
	})

	if status, out := runWith(t, r.env(data, "ROOMWATCH_STREAM=NONE"), "tail"); status != 1 || !strings.Contains(out, "no such stream") {
		t.Errorf("unknown stream: exit status %d: %s", status, out)
	}
}

// Flags are judged before anybody is asked: here nobody would answer.
func TestWrongFlags(t *testing.T) {
	env := []string{"NATS_URL=nats://" + freeAddr(t), "ROOMWATCH_HTTP_ADDR=" + freeAddr(t)}
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"tail", "--since=-5m"}, `invalid argument "-5m" for "--since" flag: write it as 10m or 2h`},
		{[]string{"tail", "--since", "5"}, `invalid argument "5" for "--since" flag: write it as 10m or 2h`},
		{[]string{"tail", "--type", "room.opened"}, `--type is "room.opened": choose from room.created, room.ended`},
		{[]string{"tail", "--room="}, "--room is empty: write a RoomId"},
		{[]string{"tail", "--room", "r", "--type", "watch.alive"}, "--room with --type watch.alive: it is of no room"},
		{[]string{"rooms", "--sort", "size"}, `--sort is "size": choose from views, created, name and id`},
		{[]string{"rooms", "--category", "music"}, `--category is "music": write a whole number`},
		{[]string{"rooms", "--category="}, `--category is "": write a whole number`},
		{[]string{"rooms", "--limit", "0"}, "--limit is 0: set at least 1, or --all"},
	} {
		if status, out := runWith(t, env, tt.args...); status != 2 || !strings.Contains(out, tt.want) || strings.Contains(out, "127.0.0.1") {
			t.Errorf("%q: exit status %d: %swant %s", tt.args, status, out, tt.want)
		}
	}
}

// One thing is no things.
func TestOneOfEach(t *testing.T) {
	var out bytes.Buffer
	one := events.Summary{Events: 1, Claims: 1, Pulses: 1, Gaps: 1, Applications: 1, Epochs: 1, Rooms: 1, Live: 1, Faults: 1}
	if err := printFinding(&out)(finding{Summary: &one}); err != nil {
		t.Fatal(err)
	}
	zero := int64(0)
	for _, e := range []diff.Event{
		{Type: diff.RoomCreated, Room: diff.Room{ViewCount: 1}},
		{Type: diff.RoomEnded, Room: diff.Room{ViewCount: 1}},
		{Type: diff.ViewCountChanged, Room: diff.Room{ViewCount: 1}, Previous: diff.Previous{ViewCount: &zero}},
	} {
		if err := newEventPrinter(&out, false).print(e); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"1 event of 1 room, 1 of them live, 1 application, 1 epoch, 1 claim, 1 pulse, 1 gap;", ": 1 fault\n", "1 view, owner", "1 view, live for", "0 → 1 view (+1)"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
}

// What is told of the watch is a line, too.
func TestPrintWatch(t *testing.T) {
	var out bytes.Buffer
	p := newEventPrinter(&out, false)
	for typ, body := range map[diff.Type]string{
		watchResumed: `{"specversion":"1.0","id":"resumed-2026-11-23T08:00:52.310Z","source":"/live/8","type":"watch.resumed","time":"2026-11-23T08:10:03.500Z","data":{"from":"2026-11-23T08:00:52.310Z","to":"2026-11-23T08:10:01.120Z","why":"stopped"}}`,
		watchAlive:   `{"specversion":"1.0","id":"a","source":"/live/8","type":"watch.alive","time":"2026-11-23T08:10:03.500Z","data":{"watching":false,"rooms":1,"missing":0,"hidden":2,"waiting":1}}`,
	} {
		if err := p.printWatch(typ, []byte(body)); err != nil {
			t.Error(err)
		}
	}
	if err := p.print(diff.Event{Type: diff.RoomEnded, Gap: true}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"watch.resumed", "(9m9s): stopped\n", "not watching: the list is not read to its end; 1 room live, 0 missing, 2 hidden, 1 event waits\n", "(may have happened while nobody watched)"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
}

// A name from a stranger moves no cursor, and emoji of several parts stay whole.
func TestPrintIsPlain(t *testing.T) {
	if got := plain("a\x1b[2Jb\nc直播"); got != "a\uFFFD[2Jb\uFFFDc直播" {
		t.Errorf("plain = %q", got)
	}
	var out bytes.Buffer
	at := time.Date(2026, 11, 29, 23, 59, 58, 7e6, time.Local)
	if err := newEventPrinter(&out, false).print(diff.Event{Type: diff.RoomCreated, Time: at.UTC()}); err != nil {
		t.Fatal(err)
	}
	if want := at.Format("2006-01-02 15:04:05.000Z07:00") + "  room.created"; !strings.HasPrefix(out.String(), want) {
		t.Errorf("a line of tail has no date and zone: %s, want %s", &out, want)
	}
	name := "می\u200cخواهم 👩\u200d🎤 🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f\u3000直播"
	if got, want := title(diff.Room{RoomName: name + "\"\u202e"}), `"`+name+`\"`+"\uFFFD\""; got != want {
		t.Errorf("title = %s, want %s", got, want)
	}
}

// The manual's table of troubleshooting quotes messages that the programs have.
func TestTroubleshooting(t *testing.T) {
	manual, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(manual), "## Troubleshooting")
	section, _, _ = strings.Cut(section, "\n## ")
	var code strings.Builder
	err = filepath.WalkDir(filepath.Join("..", ".."), func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return err
		}
		b, err := os.ReadFile(path)
		code.Write(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for line := range strings.Lines(section) {
		cells := strings.Split(line, "|")
		if len(cells) < 3 || !strings.Contains(cells[1], "`") {
			continue
		}
		rows++
		for i, quote := range strings.Split(cells[1], "`") {
			if i%2 == 0 {
				continue
			}
			for part := range strings.SplitSeq(quote, "…") {
				part = strings.Trim(part, " :")
				part = strings.ReplaceAll(part, "LIVE", "%s")
				if !strings.Contains(code.String(), part) && part != syscall.ENOSPC.Error() {
					t.Errorf("no program says %q", part)
				}
			}
		}
	}
	if rows < 10 {
		t.Errorf("%d messages, want at least 10", rows)
	}
}
