//go:build browser

package main

import (
	"cmp"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"roomwatch/poller/simulator"
)

// TestStatusPage shows the page of the real daemon to a real browser: node runs
// web/browsertest/page.test.mjs, which asks us to kill the daemon and the like.
//
//	.ci/browser
func TestStatusPage(t *testing.T) {
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal("no chromium: .ci/browser installs what this test needs")
	}
	r := newRig(t, simulator.Config{Seed: 4, Rooms: 60, Opens: 0.3, Enters: 30, Quota: -1, Next: simulator.NextKey})
	addr := freeAddr(t)
	env := r.env(t.TempDir(), "ROOMWATCH_HTTP_ADDR="+addr, "ROOMWATCH_INTERVAL=500ms")
	p := startProcess(t, env, "run")
	var turn sync.Mutex
	opened := sync.OnceValue(func() error { return strangers(r.world) })
	mux := http.NewServeMux()
	mux.HandleFunc("POST /kill", func(http.ResponseWriter, *http.Request) {
		turn.Lock()
		defer turn.Unlock()
		p.kill()
	})
	mux.HandleFunc("POST /start", func(http.ResponseWriter, *http.Request) {
		turn.Lock()
		defer turn.Unlock()
		p = startProcess(t, env, "run")
	})
	mux.HandleFunc("POST /standby", func(w http.ResponseWriter, _ *http.Request) {
		m := r.member(t.TempDir(), "ROOMWATCH_LEASE=15s")
		for range 300 { // the page waits no longer
			if m.warm() {
				break
			}
			<-time.After(100 * time.Millisecond)
		}
		_, _ = io.WriteString(w, "http://"+m.addr+"/")
	})
	mux.HandleFunc("POST /strangers", func(w http.ResponseWriter, _ *http.Request) {
		if err := opened(); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	mux.HandleFunc("POST /open/{id}", func(w http.ResponseWriter, req *http.Request) {
		id := req.PathValue("id")
		err := r.world.Open(id)
		if err == nil {
			err = r.world.Edit(id, func(room *simulator.Room) {
				room.RoomName = cmp.Or(req.FormValue("name"), room.RoomName)
				_, _ = io.WriteString(w, room.RoomName)
			})
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	for op, change := range map[string]func(string) error{"flip": r.world.Flip, "close": r.world.Close} {
		mux.HandleFunc("POST /"+op+"/{id}", func(w http.ResponseWriter, req *http.Request) {
			if err := change(req.PathValue("id")); err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
			}
		})
	}
	mux.HandleFunc("POST /burst", func(w http.ResponseWriter, _ *http.Request) { burst(w, r.world) })
	control := httptest.NewServer(mux)
	defer control.Close()
	eventually(t, "a daemon that is ready", func() bool { code, _ := fetch(addr, "/readyz"); return code == http.StatusOK })

	artefacts, err := filepath.Abs("web/browsertest/artefacts")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(artefacts, 0o750); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "node", "--test", "--test-timeout=540000", "page.test.mjs")
	cmd.Dir = "web/browsertest"
	cmd.Env = append(os.Environ(), "PAGE=http://"+addr+"/", "CONTROL="+control.URL, "ARTEFACTS="+artefacts, "CHROMIUM="+chromium)
	cmd.WaitDelay = time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v:\n%s\nthe daemon:\n%s", err, out, p.output)
	}
}

// strangers opens rooms whose names are meant to do harm.
func strangers(world *simulator.Service) error {
	for id, name := range map[string]string{
		"onerror": "<img src=x onerror=alert(1)>",
		"bidi":    "bidi \u202egpj.exe \u3164\U000e0061\ue000",
		"joiner":  "joiner می\u200cخواهم 👩\u200d🎤 🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f ❤\ufe0f",
	} {
		err := world.Open(id)
		if err == nil {
			err = world.Edit(id, func(r *simulator.Room) { r.RoomName, r.CoverURL = name, "http://covers.invalid/x.png" })
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// burst lets many rooms begin, or end if they have begun.
func burst(w http.ResponseWriter, world *simulator.Service) {
	for i := range 1500 {
		id := fmt.Sprintf("burst_%d", i)
		err := world.Close(id)
		if err != nil {
			err = world.Open(id)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
	}
}
