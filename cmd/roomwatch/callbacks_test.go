package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"roomwatch/cmd/roomwatch/web"
	"roomwatch/poller/simulator"
	"roomwatch/poller/webhook"
)

const callbackToken = "token-of-the-console"

// sendCallbacks has the service call until the test ends.
func (r *rig) sendCallbacks(c simulator.Callbacks) {
	r.t.Helper()
	if err := r.world.SetCallbacks(c); err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(r.t.Context())
	var sender sync.WaitGroup
	sender.Go(func() { r.world.SendCallbacks(ctx) })
	r.t.Cleanup(func() { cancel(); sender.Wait() })
}

// A mirror is what nginx does with `mirror`: the server that is there answers, and
// another one gets a copy of the request, whose answer nobody reads.
func mirror(t *testing.T, server, copied *url.URL) http.Handler {
	t.Helper()
	var copies sync.WaitGroup
	t.Cleanup(copies.Wait)
	proxy := httputil.NewSingleHostReverseProxy(server)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("read a callback: %v", err)
		}
		to := *copied
		to.RawQuery = r.URL.RawQuery
		copies.Go(func() {
			resp, err := http.Post(to.String(), r.Header.Get("Content-Type"), bytes.NewReader(body)) //nolint:noctx // loopback
			if err == nil {
				_ = resp.Body.Close()
			}
		})
		r.Body = io.NopCloser(bytes.NewReader(body))
		proxy.ServeHTTP(w, r)
	})
}

// Between two sweeps that are ten minutes apart, the vendor's callbacks alone bring news:
// rooms that are created, re-created, hidden, shown and destroyed. They come by a proxy
// that mirrors what another server gets.
func TestNewsByCallbacks(t *testing.T) {
	t.Parallel()
	r, env := readsRig(t, simulator.Config{Seed: 5, Rooms: 60, Quota: -1})
	addr, hook := freeAddr(t), freeAddr(t)
	env = append(env, "ROOMWATCH_INTERVAL=10m", "ROOMWATCH_PROBE_SHARE=0", "ROOMWATCH_HTTP_ADDR="+addr, "ROOMWATCH_WEBHOOK_ADDR="+hook, "ROOMWATCH_WEBHOOK_TOKEN="+callbackToken, "ROOMWATCH_LOG_LEVEL=debug", everyEvent)
	p := startProcess(t, env, "run")
	eventually(t, "the rooms", func() bool { return stored(t, r.nc) >= 60 })
	var theirs bytes.Buffer
	var mu sync.Mutex
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		_, _ = io.Copy(&theirs, req.Body)
	}))
	defer other.Close()
	server, err := url.Parse(other.URL)
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(mirror(t, server, &url.URL{Scheme: "http", Host: hook, Path: webhook.Path}))
	defer front.Close()
	r.sendCallbacks(simulator.Callbacks{URL: front.URL + "/callbacks", Token: callbackToken})

	live := r.world.Truth().Live()
	over, again, away := live[3].RoomID, live[7].RoomID, live[11].RoomID
	for what, err := range map[string]error{
		"open": r.world.Open("a new one"), "close": r.world.Close(over), "recreate": r.world.Recreate(again), "hide": r.world.Flip(away),
	} {
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	told := func(id, want string) {
		t.Helper()
		eventually(t, want+" of "+id, func() bool { return eventsOf(readStream(t, r.nc), id) == want })
	}
	told("a new one", "created")
	told(over, "created ended")
	told(again, "created ended created")
	told(away, "created hidden")
	if err := r.world.Flip(away); err != nil {
		t.Fatal(err)
	}
	told(away, "created hidden shown")
	// A forged one, by somebody who has seen a signature: the room lives on.
	forge(t, hook, live[20].RoomID)
	told(live[20].RoomID, "created")
	if n := r.world.Requests(); n > 10 {
		t.Errorf("%d requests for the list: the sweeps told it", n)
	}
	mu.Lock()
	if !strings.Contains(theirs.String(), "Live.CallbackAfterDestroyRoom") {
		t.Error("the server that was there before gets nothing")
	}
	mu.Unlock()
	_, body := fetch(addr, "/api/v1/status")
	var s web.Status
	if err := json.Unmarshal([]byte(body), &s); err != nil || s.Callbacks == nil || s.Callbacks.Taken < 6 || s.Callbacks.Refused != 0 || s.Callbacks.Last.IsZero() {
		t.Errorf("status: %s, %v", body, err)
	}
	status := startProcess(t, env, "status")
	if code := status.wait(10 * time.Second); code != 0 || !strings.Contains(status.output.String(), "taken, the newest") {
		t.Errorf("status ends with %d and tells of callbacks:\n%s", code, status.output)
	}
	if status := p.stop(); status != 0 {
		t.Errorf("exit status %d:\n%s", status, p.output)
	}
	if strings.Contains(p.output.String(), callbackToken) || strings.Contains(p.output.String(), "Sign=") {
		t.Error("a secret is in the log")
	}
}

func forge(t *testing.T, addr, room string) {
	t.Helper()
	callBack(t, addr, "Live.CallbackAfterDestroyRoom", room)
}

// callBack calls as the service does.
func callBack(t *testing.T, addr, command, room string) {
	t.Helper()
	if answer := sendCallback(t, addr, webhook.Path, command, room); answer != `{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":0}` {
		t.Errorf("answered is %s", answer)
	}
}

// sendCallback calls as the service does, and returns the answer.
func sendCallback(t *testing.T, addr, path, command, room string) string {
	t.Helper()
	stamp := strconv.FormatInt(time.Now().Unix(), 10)
	sum := sha256.Sum256([]byte(callbackToken + stamp))
	body := fmt.Sprintf(`{"CallbackCommand":%q,"RoomId":%q}`, command, room)
	resp, err := http.Post(fmt.Sprintf("http://%s%s?SdkAppid=%d&Sign=%s&RequestTime=%s", addr, path, testApp, hex.EncodeToString(sum[:]), stamp), //nolint:noctx // loopback
		"application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("%d %s, %v", resp.StatusCode, answer, err)
	}
	return string(answer)
}

// Callbacks come late, twice or not at all, replicas lag behind, the daemon is killed, the
// service lies for two seconds: nothing false is told, and in the end all is.
func TestUnreliableCallbacks(t *testing.T) {
	t.Parallel()
	r, env := readsRig(t, simulator.Config{
		Seed: 12, Rooms: 120, Opens: 3, Enters: 60, Recreates: 0.5, Hides: 0.5, Quota: -1, InfoLag: 500 * time.Millisecond, Latency: 5 * time.Millisecond,
	})
	hook := freeAddr(t)
	env = append(env, "ROOMWATCH_REQUESTS_PER_SECOND=50", "ROOMWATCH_INTERVAL=1s", "ROOMWATCH_POINT_READS_PER_SECOND=100",
		"ROOMWATCH_WEBHOOK_ADDR="+hook, "ROOMWATCH_WEBHOOK_TOKEN="+callbackToken, everyEvent)
	p := startProcess(t, env, "run")
	eventually(t, "the rooms", func() bool { return stored(t, r.nc) >= 100 })
	r.sendCallbacks(simulator.Callbacks{URL: "http://" + hook + webhook.Path, Token: callbackToken, Lag: 2 * time.Second, Drop: 0.2, Double: 0.3})
	for i := range 3 {
		<-time.After(5 * time.Second) // the world continues
		r.world.Lie([]simulator.Lies{simulator.LieInfo, simulator.LieList | simulator.LieInfo, simulator.LieList}[i], 2*time.Second)
		<-time.After(5 * time.Second)
		if i == 1 {
			p.kill()
			p = startProcess(t, env, "run")
		}
	}
	r.freezeInSight()
	events := settle(t, r.nc, r.world)
	c := r.world.CallbacksSent()
	t.Logf("%d events: %s; callbacks: %+v", len(events), count(events), c)
	if c.Answered[http.StatusOK] < 50 {
		t.Errorf("only %d callbacks arrived: the test proves nothing", c.Answered[http.StatusOK])
	}
	if status := p.stop(); status != 0 {
		t.Errorf("exit status %d:\n%s", status, p.output)
	}
}
