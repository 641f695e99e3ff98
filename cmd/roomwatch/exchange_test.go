package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

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
	p.stop()
	for _, hidden := range []string{testKey, "another-key", "old-token", "new-token", "not a token"} {
		if strings.Contains(p.output.String(), hidden) {
			t.Errorf("the log tells %s:\n%s", hidden, p.output)
		}
	}
}
