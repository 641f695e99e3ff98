package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"roomwatch/cmd/internal/environ"
	"roomwatch/cmd/roomnotify/form"
	"roomwatch/cmd/roomnotify/rules"
	"roomwatch/diff/logtest"
)

// targetOf returns the target of a webhook with more fields; every variable is hush-hush-NAME.
func targetOf(t *testing.T, url, more string) *rules.Target {
	t.Helper()
	text := "targets:\n  a:\n    kind: webhook\n    url: " + url + "\n    body: '{\"t\": {{.Title}}}'\n" + more + "rules:\n  r: {" + all + ", targets: [a]}\n"
	f, err := rules.Parse([]byte(text), rules.Source{Lookup: func(name string) (string, bool) {
		if name == "PROXY" {
			return "http://anna:hush-hush-PROXY@127.0.0.1:1", true
		}
		return "hush-hush-" + name, true
	}, ReadFile: environ.ReadFile})
	if err != nil {
		t.Fatal(err)
	}
	return &f.Targets[0]
}

func notification() form.Notification { return form.New(roomEvent(1, "x", time.Now()), "r", "a", 0) }

// sendBy sends one notification by a sender of its own, and returns what came of it.
func sendBy(t *testing.T, target *rules.Target) error {
	t.Helper()
	s := newSender(target, nil)
	defer s.client.CloseIdleConnections()
	return s.send(t.Context(), notification())
}

func pemOf(s *httptest.Server) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
}

// quiet is a TLS server that does not log the handshakes it refuses.
func quiet(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// A target whose certificate is of an authority of its own is reached with that
// authority, which may be exchanged while roomnotify runs, and with no other.
func TestAuthorityOfATarget(t *testing.T) {
	var got atomic.Int32
	server := quiet(t, func(http.ResponseWriter, *http.Request) { got.Add(1) })
	path := filepath.Join(t.TempDir(), "ca.pem")
	const hint = "name its file with ca_file"
	if err := sendBy(t, targetOf(t, server.URL, "")); err == nil || !strings.Contains(err.Error(), hint) {
		t.Errorf("without its authority: %v", err)
	}
	if err := reach(t.Context(), targetOf(t, server.URL, "")); err == nil {
		t.Error("check reaches it without its authority")
	}
	put(t, path, other(t))
	target := targetOf(t, server.URL, "    ca_file: "+path+"\n")
	s := newSender(target, nil)
	defer s.client.CloseIdleConnections()
	log := &logtest.Buffer{}
	if err := s.follow(target, slog.New(slog.NewTextHandler(log, nil))); err != nil {
		t.Fatal(err)
	}
	if err := s.send(t.Context(), notification()); err == nil {
		t.Error("it is reached with another authority")
	}
	put(t, path, pemOf(server))
	if err := s.send(t.Context(), notification()); err != nil {
		t.Errorf("with its authority: %v", err)
	}
	put(t, path, "none")
	if err := s.send(t.Context(), notification()); err != nil || !strings.Contains(log.String(), "has no certificate in PEM") || !strings.Contains(log.String(), path) {
		t.Errorf("with a file that has none: %v\n%s", err, log)
	}
	put(t, path, pemOf(server))
	if err := reach(t.Context(), targetOf(t, server.URL, "    ca_file: "+path+"\n")); err != nil {
		t.Errorf("check: %v", err)
	}
	if got.Load() != 2 {
		t.Errorf("the server got %d requests, want 2", got.Load())
	}
}

// other returns a certificate of somebody else.
func other(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "other.pem"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// What a target authenticates with is in the header of each request that reaches its
// server, as RFC 7617 and RFC 6750 have it, and nothing is there without it. A file is
// read again.
func TestAuthorizationOfATarget(t *testing.T) {
	var got atomic.Value
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got.Store(strings.Join(r.Header.Values("Authorization"), ", "))
	}))
	defer server.Close()
	path := filepath.Join(t.TempDir(), "secret")
	basic := func(user, password string) string {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
	}
	for _, kind := range []string{"webhook", "alertmanager"} {
		for _, tt := range []struct{ said, first, second string }{
			{"", "", ""},
			{"    token: ${TOKEN}\n", "Bearer hush-hush-TOKEN", "Bearer hush-hush-TOKEN"},
			{"    token_file: " + path + "\n", "Bearer one", "Bearer two:2"},
			{"    username: anna\n    password: ${PASSWORD}\n", basic("anna", "hush-hush-PASSWORD"), basic("anna", "hush-hush-PASSWORD")},
			{"    username: ${USER}\n    password_file: " + path + "\n", basic("hush-hush-USER", "one"), basic("hush-hush-USER", "two:2")},
			{"    headers: {authorization: 'GenieKey ${KEY}'}\n", "GenieKey hush-hush-KEY", "GenieKey hush-hush-KEY"},
		} {
			put(t, path, "one\n")
			target := targetOf(t, server.URL, tt.said)
			if target.Kind = kind; kind == "alertmanager" {
				target.Body, target.JSON = "", nil
			}
			s := newSender(target, nil)
			if err := s.follow(target, slog.New(slog.DiscardHandler)); err != nil {
				t.Fatal(err)
			}
			for _, want := range []string{tt.first, tt.second} {
				if err := s.send(t.Context(), notification()); err != nil || got.Load() != want {
					t.Errorf("%s: %s: the server got %q, want %q: %v", kind, tt.said, got.Load(), want, err)
				}
				put(t, path, "two:2")
			}
			s.client.CloseIdleConnections()
		}
	}
}

// A proxy of a target gets its requests, with its password, and nobody else does.
func TestProxyOfATarget(t *testing.T) {
	var got atomic.Value
	proxy := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got.Store(r.URL.String() + " " + r.Header.Get("Proxy-Authorization"))
	}))
	defer proxy.Close()
	target := targetOf(t, "http://hooks.invalid/x", "")
	target.Proxy = strings.Replace(proxy.URL, "http://", "http://anna:pass@", 1)
	if err := sendBy(t, target); err != nil {
		t.Fatal(err)
	}
	if got.Load() != "http://hooks.invalid/x Basic YW5uYTpwYXNz" {
		t.Errorf("the proxy got %s", got.Load())
	}
	if err := reach(t.Context(), target); err != nil {
		t.Errorf("check: %v", err)
	}
	target.Proxy = rules.NoProxy
	if p, err := proxyOf(target)(httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://hooks.invalid/x", http.NoBody)); p != nil || err != nil {
		t.Errorf("none: %v, %v", p, err)
	}
}

// Through a proxy no address of the link or of cloud metadata can be named, in
// whatever form, and the proxy itself can be at none.
func TestMetadataThroughAProxy(t *testing.T) {
	var got atomic.Int32
	proxy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { got.Add(1) }))
	defer proxy.Close()
	for _, host := range []string{"169.254.169.254", "169.254.169.254.", "[fe80::1]", "[::ffff:169.254.169.254]", "100.100.100.200", "2852039166", "0xa9fea9fe", "0XA9.254.43518", "169.254.43518"} {
		target := targetOf(t, "http://"+host+"/latest", "    proxy: "+proxy.URL+"\n")
		if err := sendBy(t, target); err == nil || !strings.Contains(err.Error(), "allow_private: true") {
			t.Errorf("%s: %v", host, err)
		}
		if err := reach(t.Context(), target); err == nil {
			t.Errorf("check reaches %s", host)
		}
	}
	if got.Load() != 0 {
		t.Errorf("the proxy got %d requests", got.Load())
	}
	if err := sendBy(t, targetOf(t, "http://10.0.0.1/x", "    proxy: "+proxy.URL+"\n")); err != nil || got.Load() != 1 {
		t.Errorf("another address: %v", err)
	}
	if err := sendBy(t, targetOf(t, "http://169.254.169.254/latest", "    allow_private: true\n    proxy: "+proxy.URL+"\n")); err != nil || got.Load() != 2 {
		t.Errorf("one that is meant: %v", err)
	}
	if err := sendBy(t, targetOf(t, "http://hooks.invalid/x", "    proxy: http://169.254.169.254:3128\n")); err == nil || !strings.Contains(err.Error(), "169.254.169.254 is a link-local address") {
		t.Errorf("a proxy there: %v", err)
	}
}

// No secret of a header, a body, an authentication or a proxy is in an error, also if
// the other side repeats all of it.
func TestSecretsThatAreRepeated(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, r.Header.Get("Authorization")+" "+r.Header.Get("X-Api-Key")+" "+r.Header.Get("X-File")+" "+string(body))
	}))
	defer server.Close()
	path := filepath.Join(t.TempDir(), "key")
	put(t, path, "hush-hush-file\n")
	for _, auth := range []string{"token: ${TOKEN}", "username: ${USER}\n    password: ${PASSWORD}", "headers: {Authorization: 'GenieKey ${KEY}'}"} {
		target := targetOf(t, server.URL, "    headers_file: {X-File: "+path+"}\n    values: {routing_key: '${KEY}'}\n    "+auth+"\n")
		target.JSON = nil // below
		b, err := form.ParseBody(`{"k": {{.Values.routing_key}}}`, target.Values)
		if err != nil {
			t.Fatal(err)
		}
		target.JSON = b
		err = sendBy(t, target)
		no, ok := errors.AsType[*form.Refusal](err)
		if !ok || !no.Permanent || strings.Contains(no.Text, "hush") || strings.Contains(no.Text, "aHVzaC") || !strings.Contains(no.Text, `{"k": "(secret)"}`) {
			t.Errorf("%s: %v", auth, err)
		}
	}
	target := targetOf(t, server.URL, "    proxy: ${PROXY}\n")
	if err := sendBy(t, target); err == nil || strings.Contains(err.Error(), "hush") || strings.Contains(err.Error(), "anna") {
		t.Errorf("a proxy that is not there: %v", err)
	}
}

// An example of the README for another service.
func readmeExample(t *testing.T, begin string) string {
	t.Helper()
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range strings.Split(string(readme), "```yaml\n")[1:] {
		if text, _, _ := strings.Cut(block, "```"); strings.HasPrefix(text, begin) {
			return text
		}
	}
	t.Fatalf("README has no example that begins with %q", begin)
	return ""
}

// strictly decodes JSON that may have nothing besides what v has.
func strictly(t *testing.T, body string, v any) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader([]byte(body)))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
}

// README's example for PagerDuty opens an incident for each room and resolves it, as
// PagerDuty's Events API v2 has it.
func TestExampleOfPagerDuty(t *testing.T) {
	inBubble(t, readmeExample(t, "targets:\n  pager:"), func(r *rig) {
		r.to.plain = true
		r.to.answers(func(w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(http.StatusAccepted)
			_, _ = io.WriteString(w, `{"status":"success","message":"Event processed","dedup_key":"x"}`)
			return true
		})
		stop := r.start()
		for _, what := range []string{"a", "b", "other", "-a"} {
			e := r.next(what)
			if what != "other" {
				e.Data.Room.OwnerAccount = "vip-anna"
			}
			e.Data.Room.RoomName = `"}, "x": {"`
			r.publish(e)
			time.Sleep(time.Second)
		}
		r.until("three are told", func() bool { return len(r.to.requests("events.pagerduty.com")) == 3 })
		open := map[string]bool{}
		var actions []string
		for _, q := range r.to.requests("events.pagerduty.com") {
			var v struct {
				Key     string `json:"routing_key"`
				Action  string `json:"event_action"`
				Dedup   string `json:"dedup_key"`
				Payload struct {
					Summary, Source, Severity string
					Timestamp                 time.Time
					Details                   map[string]any `json:"custom_details"`
				}
			}
			strictly(t, q.body, &v)
			if v.Key != "https://pagerduty_key.example/path-hush" || v.Dedup == "" || len(v.Dedup) > 255 || v.Payload.Summary == "" || len(v.Payload.Summary) > 1024 || v.Payload.Source != "live 88888888" ||
				!slices.Contains([]string{"critical", "warning", "error", "info"}, v.Payload.Severity) || v.Payload.Timestamp.IsZero() || v.Payload.Details["owner"] != "vip-anna" {
				t.Errorf("an event of %s", q.body)
			}
			actions = append(actions, v.Action)
			if v.Action == "resolve" && !open[v.Dedup] {
				t.Errorf("%s is resolved, and was not open", v.Dedup)
			}
			open[v.Dedup] = v.Action == "trigger"
		}
		if got := strings.Join(actions, " "); got != "trigger trigger resolve" || len(open) != 2 {
			t.Errorf("%s, of %d rooms", got, len(open))
		}
		stop()
	})
}

// README's example for Teams sends cards, one by one and for a digest.
func TestExampleOfTeams(t *testing.T) {
	type run struct{ Type, Text, Weight string }
	type card struct {
		Type        string
		Attachments []struct {
			ContentType string
			Content     struct {
				Schema        string `json:"$schema"`
				Type, Version string
				Body          []struct {
					Type    string
					Inlines []run
				}
			}
		}
	}
	inBubble(t, readmeExample(t, "targets:\n  teams:"), func(r *rig) {
		r.to.plain = true
		r.to.answers(with(http.StatusAccepted))
		stop := r.start()
		for i := range 23 {
			r.put(strings.Repeat("x", i+1))
		}
		r.until("a digest is told", func() bool { return len(r.to.requests("teams_url.example")) == 21 })
		for i, q := range r.to.requests("teams_url.example") {
			var c card
			strictly(t, q.body, &c)
			a := c.Attachments[0]
			if c.Type != "message" || len(c.Attachments) != 1 || a.ContentType != "application/vnd.microsoft.card.adaptive" || a.Content.Type != "AdaptiveCard" || a.Content.Version != "1.4" || len(a.Content.Body) < 4 {
				t.Errorf("a card: %s", q.body)
			}
			title := "New room: Room "
			if i == 20 {
				title = "Held back: 3 new rooms"
			}
			for k, b := range a.Content.Body {
				if b.Type != "RichTextBlock" || len(b.Inlines) != 1 || b.Inlines[0].Type != "TextRun" || b.Inlines[0].Text == "" || k == 0 && !strings.HasPrefix(b.Inlines[0].Text, title) {
					t.Errorf("a block: %+v", b)
				}
			}
		}
		stop()
	})
}

// Each example of the README is run by a test: this one, or one that names it.
func TestEachExampleIsRun(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	run := []string{"targets:\n  team:", "targets:\n  pager:", "targets:\n  teams:", "targets:\n  alerts:", "targets:\n  mailbox:", "targets:\n  fans:"}
	for _, begin := range run {
		readmeExample(t, begin)
	}
	if n := strings.Count(string(readme), "```yaml"); n != len(run) {
		t.Errorf("README has %d examples, and %d are run", n, len(run))
	}
}
