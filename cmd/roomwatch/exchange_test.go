package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/tencentyun/tls-sig-api-v2-golang/tencentyun"

	"roomwatch/poller/simulator"
)

// The files of the secrets are exchanged below a running daemon: the token before
// is refused, the new one counts, and so does the new key, which is wrong here.
func TestExchangedSecrets(t *testing.T) {
	r := newRig(t, simulator.Config{Seed: 1})
	dir, addr := t.TempDir(), freeAddr(t)
	key, token := filepath.Join(dir, "key"), filepath.Join(dir, "token")
	put := func(file, content string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put(key, testKey+"\n")
	put(token, "old-token\n")
	p := startProcess(t, r.env(filepath.Join(dir, "data"), "ROOMWATCH_SECRET_KEY=", "ROOMWATCH_SECRET_KEY_FILE="+key,
		"ROOMWATCH_HTTP_TOKEN_FILE="+token, "ROOMWATCH_HTTP_ADDR="+addr), "run")
	status := func(token string) int {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr+"/api/v1/status", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return 0
		}
		_ = resp.Body.Close() // nothing was read from it
		return resp.StatusCode
	}
	eventually(t, "the old token is taken", func() bool { return status("old-token") == 200 })
	put(token, "not a token\n")
	if got := status("old-token"); got != 200 {
		t.Errorf("after a token that cannot be used, the old one has status %d", got)
	}
	put(token, "new-token\n")
	if was, is := status("old-token"), status("new-token"); was != 401 || is != 200 {
		t.Errorf("the old token has status %d, the new one %d; want 401 and 200", was, is)
	}
	put(key, "another-key\n")
	eventually(t, "the new key is used", func() bool { return strings.Contains(p.output.String(), "70009") })
	// The next try is a minute away, but for whoever has put it right.
	put(key, testKey+"\n")
	if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	ready := func() bool { code, _ := fetch(addr, "/readyz"); return code == http.StatusOK }
	eventually(t, "sweeps after SIGHUP", ready)
	p.stop()
	for _, hidden := range []string{testKey, "another-key", "old-token", "new-token", "not a token"} {
		if strings.Contains(p.output.String(), hidden) {
			t.Errorf("the log tells %s:\n%s", hidden, p.output)
		}
	}
}

// So does a UserSig in a file, when the service takes no other any more.
func TestExchangedUserSig(t *testing.T) {
	t.Parallel()
	r := newRig(t, simulator.Config{Seed: 1, Rooms: 3, Quota: -1})
	next, err := simulator.New(simulator.Config{SDKAppID: testApp, SecretKey: "next-key", Seed: 2, Rooms: 5, Quota: -1})
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.RWMutex // so that service and file are exchanged at once
	world := r.world
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		mu.RLock()
		defer mu.RUnlock()
		world.ServeHTTP(w, req)
	}))
	defer service.Close()
	file := filepath.Join(t.TempDir(), "usersig")
	var sigs []string
	put := func(key string) {
		t.Helper()
		sig, err := tencentyun.GenUserSig(testApp, key, "administrator", 86400)
		if err == nil {
			err = os.WriteFile(file, []byte(sig+"\n"), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		sigs = append(sigs, sig)
	}
	put(testKey)
	p := startProcess(t, r.env(t.TempDir(), "ROOMWATCH_SECRET_KEY=", "ROOMWATCH_USERSIG_FILE="+file, "ROOMWATCH_ENDPOINT="+service.URL), "run")
	eventually(t, "the rooms", func() bool { return stored(t, r.nc) >= 3 })
	mu.Lock()
	put("next-key")
	world = next
	mu.Unlock()
	eventually(t, "what the new UserSig shows", func() bool { return stored(t, r.nc) > 3 })
	p.stop()
	for _, sig := range sigs {
		if strings.Contains(p.output.String(), sig) {
			t.Errorf("the log tells a UserSig:\n%s", p.output)
		}
	}
}
