package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"roomwatch/cmd/roomnotify/form"
	"roomwatch/cmd/roomnotify/rules"
	"roomwatch/publisher/events"
)

// README's example for Alertmanager, with another address.
func alertmanagerExample(t *testing.T, url string) *rules.File {
	t.Helper()
	text := readmeExample(t, "targets:\n  alerts:")
	changed := strings.Replace(text, "https://alertmanager.example.com", url, 1)
	if changed == text {
		t.Fatal("the example has another address")
	}
	return parseRules(t, changed)
}

// startAlertmanager starts the real one with a configuration, and returns its URL.
// ALERTMANAGER is its program; without it and where none is installed the test is
// skipped.
func startAlertmanager(t *testing.T, config string) string {
	t.Helper()
	program := os.Getenv("ALERTMANAGER")
	for _, name := range []string{"prometheus-alertmanager", "alertmanager"} {
		if path, err := exec.LookPath(name); program == "" && err == nil {
			program = path
		}
	}
	if program == "" {
		t.Skip("there is no Alertmanager: install Debian's prometheus-alertmanager, or set ALERTMANAGER to its program")
	}
	free, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := free.Addr().String()
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "alertmanager.yml")
	put(t, path, config)
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, "--config.file="+path, "--storage.path="+dir, "--web.listen-address="+addr, "--cluster.listen-address=")
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = log.Close()
		if said, err := os.ReadFile(log.Name()); t.Failed() && err == nil {
			t.Logf("Alertmanager says:\n%s", said)
		}
	})
	soon(t, "Alertmanager is ready", func() bool {
		status, _ := fetch(t, "http://"+addr+"/-/ready")
		return status == http.StatusOK
	})
	return "http://" + addr
}

// soon waits until ok holds.
func soon(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("never: %s", what)
}

func fetch(t *testing.T, url string) (status int, body []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil // it is not there yet
	}
	defer func() { _ = resp.Body.Close() }()
	if body, err = io.ReadAll(resp.Body); err != nil {
		return 0, nil
	}
	return resp.StatusCode, body
}

// The real Alertmanager tells that a room began and, as the same alert, that it
// ended; a room that lives goes on for longer than its resolve_timeout.
func TestAlertmanager(t *testing.T) {
	var mu sync.Mutex
	var told []string
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var v struct {
			Alerts []struct {
				Status string
				Labels map[string]string
			}
		}
		if err := json.NewDecoder(r.Body).Decode(&v); err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		for _, a := range v.Alerts {
			told = append(told, a.Labels["room"]+" "+a.Status)
		}
	}))
	defer receiver.Close()
	url := startAlertmanager(t, fmt.Sprintf("global: {resolve_timeout: 1s}\nroute: {receiver: hook, group_by: ['...'], group_wait: 0s, group_interval: 1s}\nreceivers: [{name: hook, webhook_configs: [{url: %q}]}]\n", receiver.URL))
	file := alertmanagerExample(t, url)
	s := newSender(&file.Targets[0], nil)
	defer s.client.CloseIdleConnections()
	send := func(kind events.Type, room string, at time.Time, milestone int64) {
		t.Helper()
		e := roomEvent(1, room, at)
		e.Type, e.Data.Room.CreateTime = kind, time.Now().Add(-time.Hour).Truncate(time.Hour).Unix()
		if err := s.send(t.Context(), form.New(e, file.Rules[0].Name, "alerts", milestone)); err != nil {
			t.Fatal(err)
		}
	}
	active := func() string {
		var list []struct {
			Labels   map[string]string
			StartsAt time.Time
			EndsAt   time.Time
		}
		if _, body := fetch(t, url+"/api/v2/alerts"); json.Unmarshal(body, &list) != nil {
			return "unknown"
		}
		var rooms []string
		for _, a := range list {
			rooms = append(rooms, a.Labels["room"])
			if a.Labels["severity"] != "info" || time.Until(a.EndsAt) < 6*24*time.Hour {
				t.Errorf("an alert: %+v", a)
			}
		}
		return strings.Join(rooms, " ")
	}
	hears := func(want string) {
		t.Helper()
		soon(t, "it tells "+want, func() bool {
			mu.Lock()
			defer mu.Unlock()
			return strings.Contains(strings.Join(told, "; "), want)
		})
	}
	send(events.RoomCreated, "stays", time.Now().Add(-2*time.Minute), 0)
	send(events.RoomCreated, "ends", time.Now().Add(-time.Minute), 0)
	hears("stays firing")
	hears("ends firing")
	send(events.ViewCountChanged, "ends", time.Now().Add(-30*time.Second), 1000)
	send(events.RoomEnded, "ends", time.Now().Add(-time.Second), 0)
	hears("ends resolved")
	if got := active(); got != "stays" {
		t.Errorf("active is %q, want stays", got)
	}
	mu.Lock()
	defer mu.Unlock()
	if got := strings.Join(told, "; "); strings.Contains(got, "stays resolved") || strings.Count(got, "ends") != 2 {
		t.Errorf("it told %s", got)
	}
}

// A refusal of Alertmanager is one, and a failure is retried.
func TestAnswersOfAlertmanager(t *testing.T) {
	to := form.Target{Kind: "alertmanager"}
	for status, want := range map[int]string{200: "taken", 400: "refused", 401: "refused", 404: "refused", 429: "busy", 500: "again", 503: "again"} {
		got := "taken"
		err := to.Judge(form.Answer{Status: status, Body: []byte(`"bad"`)}, time.Now())
		if no, ok := errors.AsType[*form.Refusal](err); ok {
			got = map[bool]string{true: "refused", false: "again"}[no.Permanent]
			if no.Busy {
				got = "busy"
			}
		}
		if got != want {
			t.Errorf("%d: %s, want %s", status, got, want)
		}
	}
}
