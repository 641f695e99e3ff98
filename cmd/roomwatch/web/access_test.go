package web

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

const testToken = "hush-hush-hush"

func givenToken() string { return testToken }

func basic(user, password string) string {
	return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

// Who may read what, by what the operator has set and what the request brings.
func TestWhoMayRead(t *testing.T) {
	token := func(c *Config) { c.Token = givenToken }
	named := func(c *Config) { c.Addr = "watch.example:8080" }
	open := func(c *Config) { c.Open = true }
	tests := []struct {
		name   string
		edit   func(*Config)
		header []string
		want   int
	}{
		{"by address", nil, nil, 200},
		{"as localhost", nil, []string{"Host: localhost:8080"}, 200},
		{"as LOCALHOST.", nil, []string{"Host: LOCALHOST.:8080"}, 200},
		{"over IPv6", nil, []string{"Host: [::1]:8080"}, 200},
		{"over IPv6, no port", nil, []string{"Host: [::1]"}, 200},
		{"under another name", nil, []string{"Host: evil.example"}, 403},
		{"under another name that looks like it", nil, []string{"Host: localhost.evil.example:8080"}, 403},
		{"under an address that looks like one", nil, []string{"Host: 127.0.0.1.evil.example"}, 403},
		{"under the bound name", named, []string{"Host: watch.example"}, 200},
		{"under another than the bound name", named, []string{"Host: evil.example"}, 403},
		{"open, under any name", open, []string{"Host: evil.example"}, 200},
		{"a page of another site", open, []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors"}, 403},
		{"a link on another site", open, []string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate"}, 200},
		{"a page of ours", open, []string{"Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: cors"}, 200},

		{"no token", token, nil, 401},
		{"the token", token, []string{"Authorization: Bearer " + testToken}, 200},
		{"bearer in lower case", token, []string{"Authorization: bearer  " + testToken}, 200},
		{"a wrong token", token, []string{"Authorization: Bearer " + testToken + "x"}, 401},
		{"the front of the token", token, []string{"Authorization: Bearer " + testToken[:4]}, 401},
		{"an empty token", token, []string{"Authorization: Bearer "}, 401},
		{"the token alone", token, []string{"Authorization: " + testToken}, 401},
		{"the token in the query", token, []string{"X-Token: " + testToken}, 401},
		{"basic", token, []string{basic("", testToken)}, 200},
		{"basic with a user", token, []string{basic("somebody", testToken)}, 200},
		{"basic the wrong way round", token, []string{basic(testToken, "")}, 401},
		{"a wrong password", token, []string{basic("somebody", "x")}, 401},
		{"the token, under any name", token, []string{"Host: watch.example", "Authorization: Bearer " + testToken}, 200},
	}
	paths := []string{"/api/v1/status", "/api/v1/rooms", "/api/v1/history", "/api/v1/backup", "/api/v1/openapi.json", "/schema/asyncapi.json", "/metrics", "/", "/page/index.html"}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, tt.edit).serve()
			for _, path := range paths {
				status, header, body := r.get(path, tt.header...)
				if status != tt.want {
					t.Errorf("%s: %d %s, want %d", path, status, body, tt.want)
				}
				if strings.Contains(body, testToken) {
					t.Errorf("%s tells the token: %s", path, body)
				}
				if n := len(header.Values("WWW-Authenticate")); (n == 2) != (status == 401) {
					t.Errorf("%s: %d with %d challenges", path, status, n)
				}
			}
			for _, path := range []string{"/api/v1/events", "/api/v1/rooms/x", "/api/v1/explain?room=x", "/nowhere", "/page/nowhere"} {
				status, _, body := r.get("HEAD "+path, tt.header...)
				if tt.want != 200 && status != tt.want || tt.want == 200 && status != 200 && status != 404 {
					t.Errorf("%s: %d %s", path, status, body)
				}
			}
		})
	}
}

// A probe has no token: it learns whether the daemon is ready, and no more.
func TestProbesNeedNoToken(t *testing.T) {
	bad := func() Status {
		return Status{Health: Failing, Conditions: []Condition{{Level: Failing, Text: "room names"}, {Level: Degraded, Text: "look"}}}
	}
	for _, tt := range []struct {
		name   string
		edit   func(*Config)
		header string
		ready  string
	}{
		{"all may read", func(c *Config) { c.Status = bad }, "", `{"ready":false,"reasons":["room names"],"warnings":["look"]}`},
		{"ready", nil, "", `{"ready":true,"reasons":[],"warnings":[]}`},
		{"no token", func(c *Config) { c.Status, c.Token = bad, givenToken }, "", `{"ready":false}`},
		{"the token", func(c *Config) { c.Status, c.Token = bad, givenToken }, "Authorization: Bearer " + testToken, `{"ready":false,"reasons":["room names"],"warnings":["look"]}`},
		{"a stranger's name", func(c *Config) { c.Status = bad }, "Host: evil.example", `{"ready":false}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, tt.edit).serve()
			var header []string
			if tt.header != "" {
				header = []string{tt.header}
			}
			status, _, body := r.get("/readyz", header...)
			if strings.TrimSpace(body) != tt.ready || (status == http.StatusOK) != strings.Contains(tt.ready, "true") {
				t.Errorf("%d %s, want %s", status, body, tt.ready)
			}
			if status, _, body := r.get("/healthz", header...); status != http.StatusOK || body != "ok\n" {
				t.Errorf("/healthz: %d %s", status, body)
			}
		})
	}
}

// Every answer keeps browsers from reading more into it than it says, and every
// refusal is JSON that says why.
func TestAnswers(t *testing.T) {
	r := newRig(t, nil).serve()
	for path, want := range map[string]int{
		"/": 200, "/page/index.html": 200, "/api/v1/openapi.json": 200, "/api/v1/history": 200,
		"/page/": 404, "/page/../openapi.json": 404, "/page/%2e%2e/openapi.json": 404, "/page": 404, "/api/v1": 404, "/api/v1/rooms/": 404, "/index.html": 404,
		"POST /": 405, "DELETE /api/v1/rooms/a": 405, "PUT /api/v1/status": 405, "OPTIONS /api/v1/status": 405, "PATCH /nowhere": 405,
	} {
		status, header, body := r.get(path)
		if status != want {
			t.Errorf("%s: %d, want %d", path, status, want)
		}
		for name, value := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store, no-transform",
		} {
			if got := header.Get(name); got != value {
				t.Errorf("%s: %s is %q", path, name, got)
			}
		}
		if csp := header.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'; script-src 'self';") {
			t.Errorf("%s: policy %q", path, csp)
		}
		if (header.Get("Allow") != "") != (want == 405) {
			t.Errorf("%s: Allow %q", path, header.Get("Allow"))
		}
		var p Problem
		if want != 200 && (json.Unmarshal([]byte(body), &p) != nil || p.Error == "") {
			t.Errorf("%s: %s", path, body)
		}
	}
}
