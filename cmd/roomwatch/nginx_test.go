package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"roomwatch/poller/simulator"
)

// The locations for nginx that the README shows, tried by an nginx: callbacks come through one to roomwatch, which
// finds their signatures right; where another server is there already it answers, and roomwatch gets a copy.
//
// NGINX_PROGRAM is its program; without it and where none is installed the test is skipped.
func TestNginx(t *testing.T) {
	program := os.Getenv("NGINX_PROGRAM")
	if path, err := exec.LookPath("nginx"); program == "" && err == nil {
		program = path
	}
	if program == "" {
		t.Skip("there is no nginx: install Debian's nginx, or set NGINX_PROGRAM to it")
	}
	t.Parallel()
	r, env := readsRig(t, simulator.Config{Seed: 5, Rooms: 20, Quota: -1})
	addr, hook, front := freeAddr(t), freeAddr(t), freeAddr(t)
	startProcess(t, append(env, "ROOMWATCH_HTTP_ADDR="+addr, "ROOMWATCH_WEBHOOK_ADDR="+hook, "ROOMWATCH_WEBHOOK_TOKEN="+callbackToken), "run")
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			t.Error(err)
		}
		_, _ = fmt.Fprintf(w, "the other server has got %s", body)
	}))
	defer other.Close()
	startNginx(t, program, front, strings.NewReplacer("127.0.0.1:8090", hook, "127.0.0.1:3000", other.Listener.Addr().String()).Replace(readmeLocations(t)))
	taken := func(n int) func() bool {
		return func() bool {
			_, body := fetch(addr, "/metrics")
			return strings.Contains(body, fmt.Sprintf("roomwatch_poller_callbacks_total{outcome=\"taken\"} %d\n", n))
		}
	}
	eventually(t, "the receiver", taken(0))
	room := r.world.Truth().Live()[3].RoomID
	eventually(t, "nginx", func() bool {
		resp, err := http.Get("http://" + front) //nolint:noctx // loopback
		if err == nil {
			_ = resp.Body.Close()
		}
		return err == nil
	})
	callBack(t, front, "Live.CallbackAfterUpdateRoomInfo", room)
	eventually(t, "the callback that nginx passes on", taken(1))
	if got := sendCallback(t, front, "/callbacks", "Live.CallbackAfterUpdateRoomInfo", room); !strings.HasPrefix(got, "the other server has got {") {
		t.Errorf("answered is %q", got)
	}
	eventually(t, "the copy of it", taken(2))
}

// readmeLocations returns what the README tells to write into nginx's configuration.
func readmeLocations(t *testing.T) string {
	t.Helper()
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?ms)^ +location = /\w+ \{.*?\}$`).FindAllString(string(readme), -1)
	if len(found) != 3 {
		t.Fatalf("the README shows %d locations, want 3: %q", len(found), found)
	}
	return strings.Join(found, "\n")
}

// startNginx runs nginx with such locations until the test ends.
func startNginx(t *testing.T, program, addr, locations string) {
	t.Helper()
	dir := t.TempDir()
	var temporary strings.Builder
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		fmt.Fprintf(&temporary, "%s_temp_path %s;\n", kind, filepath.Join(dir, kind))
	}
	conf := filepath.Join(dir, "nginx.conf")
	text := fmt.Sprintf("daemon off;\nmaster_process off;\npid %s;\nerror_log stderr;\nevents {}\nhttp {\naccess_log off;\n%sserver {\nlisten %s;\n%s\n}\n}\n",
		filepath.Join(dir, "pid"), temporary.String(), addr, locations)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), program, "-p", dir, "-e", "stderr", "-c", conf)
	out, err := os.Create(filepath.Join(dir, "said"))
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		done := time.AfterFunc(10*time.Second, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait() // a signal ends it
		done.Stop()
		_ = out.Close()
		if said, err := os.ReadFile(out.Name()); t.Failed() {
			t.Logf("nginx: %s, %v", said, err)
		}
	})
}
