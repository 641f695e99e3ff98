package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// A probe asks a running roomaudit.
func probe(t *testing.T, addr, path, token string) (status int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr+path, nil)
	must(t, err)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	must(t, err)
	return resp.StatusCode, string(b)
}

// value returns a metric; -1 if it is not there.
func value(metrics, name string) float64 {
	m := regexp.MustCompile(`(?m)^roomaudit_` + name + ` (.*)$`).FindStringSubmatch(metrics)
	if m == nil {
		return -1
	}
	v, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		return -1
	}
	return v
}

func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it is closed at once
	must(t, err)
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// Probes and metrics say whether events are recorded, and why not; who may not read
// gets no more than that.
func TestProbesAndMetrics(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	dir, addr, key := t.TempDir(), freeAddr(t), filepath.Join(t.TempDir(), "token")
	must(t, os.WriteFile(key, []byte("hush-hush\n"), 0o600))
	r.publish(7)
	must(t, r.made.DeleteMsg(t.Context(), 3))
	r.down()
	p := start(t, append(r.env(dir), "ROOMAUDIT_HTTP_ADDR="+addr, "ROOMAUDIT_HTTP_TOKEN_FILE="+key), "run")
	eventually(t, "an answer", func() bool { status, _ := probe(t, addr, "/healthz", ""); return status == 200 })
	if status, body := probe(t, addr, "/readyz", ""); status != 503 || body != `{"ready":false}`+"\n" {
		t.Errorf("without NATS: %d %s", status, body)
	}
	if status, body := probe(t, addr, "/readyz", "hush-hush"); status != 503 || !strings.Contains(body, `"reasons":["nothing is recorded: `) {
		t.Errorf("without NATS: %d %s", status, body)
	}
	for _, path := range []string{"/metrics", "/x"} {
		if status, body := probe(t, addr, path, "wrong"); status != 401 || !strings.Contains(body, "ROOMAUDIT_HTTP_TOKEN") {
			t.Errorf("%s without the token: %d %s", path, status, body)
		}
	}
	r.up()
	eventually(t, "that it is ready", func() bool { status, _ := probe(t, addr, "/readyz", ""); return status == 200 })
	eventually(t, "all on record", func() bool {
		_, text := probe(t, addr, "/metrics", "hush-hush")
		return value(text, "stream_sequence") == 7
	})
	must(t, os.WriteFile(filepath.Join(dir, sealRequest), nil, 0o600))
	eventually(t, "a seal", func() bool {
		_, text := probe(t, addr, "/metrics", "hush-hush")
		return value(text, "seals_total") == 1
	})
	status, text := probe(t, addr, "/metrics", "hush-hush")
	for name, want := range map[string]float64{"recording": 1, "lag_messages": 0, "messages_recorded_total": 6, "gaps_total": 1, "lines": 9, "newest_file": 1, "copied_file": 0, "upkeep_failing": 0, `trail_info{durable="roomaudit",stream="LIVE"}`: 1} {
		if got := value(text, name); got != want {
			t.Errorf("%d: %s is %v, want %v", status, name, got, want)
		}
	}
	for _, name := range []string{"disk_free_bytes", "last_sync_timestamp_seconds", "newest_message_timestamp_seconds"} {
		if value(text, name) < 1e6 {
			t.Errorf("%s is %v", name, value(text, name))
		}
	}
	if status, body := probe(t, addr, "/x", "hush-hush"); status != 404 || !strings.Contains(body, "/metrics") {
		t.Errorf("/x: %d %s", status, body)
	}
	r.down()
	eventually(t, "that it is no longer ready", func() bool {
		status, body := probe(t, addr, "/readyz", "hush-hush")
		return status == 503 && strings.Contains(body, "nothing is recorded: ")
	})
	if _, text := probe(t, addr, "/metrics", "hush-hush"); value(text, "recording") != 0 {
		t.Errorf("recording is %v", value(text, "recording"))
	}
	r.up()
	eventually(t, "that it is ready again", func() bool { status, _ := probe(t, addr, "/readyz", ""); return status == 200 })
	second := start(t, append(r.env(t.TempDir()), "ROOMAUDIT_HTTP_ADDR="+addr, "ROOMAUDIT_DURABLE=other"), "run")
	if status := second.wait(); status != 1 || !strings.Contains(second.out.String(), "set ROOMAUDIT_HTTP_ADDR to a free address, or to off") {
		t.Errorf("a second one: %d %s", status, second.out)
	}
	p.stop()
}

// An address that others can reach needs a token, or a word that all may read.
func TestHTTPSettings(t *testing.T) {
	for _, tt := range []struct{ addr, token, open, says string }{
		{"127.0.0.1:8082", "", "", ""}, {"off", "", "", ""}, {"0.0.0.0:8082", "a", "", ""}, {"0.0.0.0:8082", "", "true", ""},
		{"0.0.0.0:8082", "", "", "set ROOMAUDIT_HTTP_TOKEN or"}, {"8082", "", "", "write host:port"}, {"127.0.0.1:8082", "a b", "", "no header can carry"},
		{"127.0.0.1:8082", "a", "true", "ROOMAUDIT_HTTP_OPEN is true although"},
	} {
		t.Setenv("ROOMAUDIT_HTTP_ADDR", tt.addr)
		t.Setenv("ROOMAUDIT_HTTP_TOKEN", tt.token)
		t.Setenv("ROOMAUDIT_HTTP_OPEN", tt.open)
		_, err := configured()
		if text := fmt.Sprint(err); (err == nil) != (tt.says == "") || err != nil && (!strings.Contains(text, tt.says) || strings.Contains(text, "a b")) {
			t.Errorf("%+v: %v", tt, err)
		}
	}
}
