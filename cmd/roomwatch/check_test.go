package main

import (
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/poller/simulator"
	"roomwatch/publisher/natstest"
)

// portOf is the port of an address such as http://127.0.0.1:1234.
func portOf(t *testing.T, addr string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(addr[strings.LastIndex(addr, "/")+1:])
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// What would keep the daemon from starting is found by check, with the fix, and
// nothing is made by the way.
func TestCheckFindsWhatRunWouldFind(t *testing.T) {
	r := newRig(t, simulator.Config{Seed: 1, Rooms: 3, Quota: -1})
	stranger := natstest.Start(t, func(o *server.Options) { o.ServerName = "theirs" })
	guarded := natstest.Start(t, func(o *server.Options) { o.Authorization = "s3cret" })
	page := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(page.Close)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	js, err := jetstream.New(r.nc)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "OTHER", Subjects: []string{"other.>"}}); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		env  []string
		line string // that says what is wrong
		want []string
		run  int // exit status of run
	}{
		{name: "another's NATS on the port", env: []string{"NATS_URL=", "ROOMWATCH_NATS_PORT=" + portOf(t, stranger.ClientURL())},
			line: "nats", want: []string{`"theirs"`, "ROOMWATCH_NATS_PORT", "NATS_URL=" + stranger.ClientURL()}, run: 1},
		{name: "another's NATS that asks who we are", env: []string{"NATS_URL=", "ROOMWATCH_NATS_PORT=" + portOf(t, guarded.ClientURL())},
			line: "nats", want: []string{"ROOMWATCH_NATS_PORT", "NATS_URL=" + guarded.ClientURL()}, run: 1},
		{name: "something else on the port", env: []string{"NATS_URL=", "ROOMWATCH_NATS_PORT=" + portOf(t, page.URL)},
			line: "nats", want: []string{"not by a NATS server", "ROOMWATCH_NATS_PORT"}, run: 1},
		{name: "the address is taken", env: []string{"ROOMWATCH_HTTP_ADDR=127.0.0.1:" + portOf(t, page.URL)},
			line: "http", want: []string{"address already in use", "ROOMWATCH_HTTP_ADDR"}, run: 1},
		{name: "no place for the state", env: []string{"ROOMWATCH_DATA_DIR=" + filepath.Join(file, "data")},
			line: "state", want: []string{"ROOMWATCH_DATA_DIR"}, run: 1},
		{name: "replicas on a single server", env: []string{"ROOMWATCH_STREAM_REPLICAS=3"},
			line: "stream", want: []string{"ROOMWATCH_STREAM_REPLICAS is 3"}, run: 2},
		{name: "subjects of another stream", env: []string{"ROOMWATCH_SUBJECT_PREFIX=other"},
			line: "stream", want: []string{"stream OTHER has", "ROOMWATCH_SUBJECT_PREFIX"}, run: 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			data := filepath.Join(t.TempDir(), "deep", "data")
			env := r.env(data, tt.env...)
			status, out := runWith(t, env, "check")
			line := lines(out, "FAILED")
			if status != 1 || !strings.HasPrefix(line, tt.line+" ") || strings.Count(line, "\n") != 1 {
				t.Errorf("exit status %d:\n%s", status, out)
			}
			for _, want := range tt.want {
				if !strings.Contains(line, want) {
					t.Errorf("no %q in:\n%s", want, line)
				}
			}
			if _, err := os.Stat(filepath.Dir(data)); err == nil {
				t.Error("check has made the data directory")
			}
			if status, out := runWith(t, env, "run"); status != tt.run {
				t.Errorf("run: exit status %d, want %d:\n%s", status, tt.run, out)
			}
		})
	}
}

// NATS that cannot be reached is told with what to look at: run would wait for it.
func TestCheckWithoutNATS(t *testing.T) {
	r := newRig(t, simulator.Config{Seed: 1, Rooms: 3, Quota: -1})
	status, out := runWith(t, r.env(t.TempDir(), "NATS_URL=nats://"+freeAddr(t)), "check")
	if line := lines(out, "FAILED"); status != 1 || !strings.Contains(line, "check that NATS runs there and that NATS_URL is right") {
		t.Errorf("exit status %d:\n%s", status, out)
	}
}

// Beside the daemon with its own server all is well; for another data directory
// its port and its address are taken.
func TestCheckBesideTheDaemon(t *testing.T) {
	r := newRig(t, simulator.Config{Seed: 1, Rooms: 3, Quota: -1})
	data, addr := t.TempDir(), freeAddr(t)
	env := []string{"NATS_URL=", "ROOMWATCH_NATS_PORT=" + portOf(t, freeAddr(t)), "ROOMWATCH_HTTP_ADDR=" + addr}
	if status, out := runWith(t, r.env(data, env...), "check"); status != 0 || !strings.Contains(out, "starts its own") || !strings.Contains(out, addr+" is free") {
		t.Errorf("before the daemon: exit status %d:\n%s", status, out)
	}
	p := startProcess(t, r.env(data, env...), "run")
	eventually(t, "ready", func() bool { status, _ := fetch(addr, "/readyz"); return status == http.StatusOK })
	status, out := runWith(t, r.env(data, env...), "check")
	for _, want := range []string{"nats           ok", "stream         ok", "in use by a running roomwatch", "answers at " + addr} {
		if status != 0 || !strings.Contains(out, want) {
			t.Errorf("exit status %d, no %q in:\n%s", status, want, out)
		}
	}
	status, out = runWith(t, r.env(t.TempDir(), env...), "check")
	for _, want := range []string{"nats           FAILED", "another data directory", "http           FAILED", "would replace it"} {
		if status != 1 || !strings.Contains(out, want) {
			t.Errorf("for another directory: exit status %d, no %q in:\n%s", status, want, out)
		}
	}
	if err := os.Remove(filepath.Join(data, "state.db")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the daemon's word of its state file", func() bool {
		status, out = runWith(t, r.env(data, env...), "status")
		return strings.Contains(out, "state.db was removed or replaced")
	})
	status, out = runWith(t, r.env(data, env...), "check")
	if want := "does not use the state file " + filepath.Join(data, "state.db"); status != 1 || !strings.Contains(out, want) {
		t.Errorf("without its state file: exit status %d, no %q in:\n%s", status, want, out)
	}
	p.stop()
}

// The limit of requests may be used up, as by the daemon itself: that is no fault of the
// configuration.
func TestCheckThrottled(t *testing.T) {
	for name, fault := range map[string]simulator.Fault{"in the answer": {ErrorCode: 60011}, "by HTTP": {Status: http.StatusTooManyRequests}} {
		r := newRig(t, simulator.Config{Seed: 1, Rooms: 3, Quota: -1, Fault: func(int, *http.Request) *simulator.Fault { return &fault }})
		status, out := runWith(t, r.env(t.TempDir()), "check")
		if line := lines(out, "service"); status != 0 || !strings.Contains(line, "WARN") || !strings.Contains(line, "check again in a moment") {
			t.Errorf("%s: exit status %d:\n%s", name, status, out)
		}
	}
}

// A daemon whose token is not known here is not mistaken for a stranger.
func TestCheckWithoutTheToken(t *testing.T) {
	r := newRig(t, simulator.Config{Seed: 1, Rooms: 3, Quota: -1})
	data, addr := t.TempDir(), freeAddr(t)
	p := startProcess(t, r.env(data, "ROOMWATCH_HTTP_ADDR="+addr, "ROOMWATCH_HTTP_TOKEN=token-of-the-daemon"), "run")
	eventually(t, "ready", func() bool { status, _ := fetch(addr, "/readyz"); return status == http.StatusOK })
	status, out := runWith(t, r.env(data, "ROOMWATCH_HTTP_ADDR="+addr), "check")
	if line := lines(out, "FAILED"); status != 1 || !strings.Contains(line, "set ROOMWATCH_HTTP_TOKEN") || strings.Contains(line, "in use") {
		t.Errorf("exit status %d:\n%s", status, out)
	}
	p.stop()
}
