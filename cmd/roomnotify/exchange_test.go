package main

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"roomwatch/cmd/internal/environ"
	"roomwatch/cmd/roomnotify/rules"
	"roomwatch/diff/logtest"
)

func put(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func rulesWithFiles(t *testing.T, text string) *rules.File {
	t.Helper()
	f, err := rules.Parse([]byte(text), rules.Source{Lookup: os.LookupEnv, ReadFile: environ.ReadFile})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// The URL of a chat is exchanged below a running daemon, and the one before is
// refused from then on: what comes is told under the new one.
func TestExchangedURL(t *testing.T) {
	path := filepath.Join(t.TempDir(), "url")
	put(t, path, "https://old.example/path-hush\n")
	inBubble(t, "targets:\n"+hook("none", "")+"rules:\n  all: {events: [room.created], targets: [none]}\n", func(r *rig) {
		r.file = rulesWithFiles(t, "targets:\n  team: {kind: slack, url_file: "+path+"}\nrules:\n  all: {events: [room.created], targets: [team]}\n")
		stop := r.start()
		defer stop()
		r.put("a")
		r.until("the old URL is told", func() bool { return len(r.to.requests("old.example")) == 1 })
		put(t, path, "ftp://hush hush\n") // no URL: the one before stays
		r.put("b")
		r.until("the old URL is told again", func() bool { return len(r.to.requests("old.example")) == 2 })
		put(t, path, "\ufeffhttps://new.example/other-hush\n")
		r.to.answers(func(w http.ResponseWriter, req *http.Request) bool {
			return req.Host == "old.example" && with(http.StatusForbidden)(w, req)
		})
		r.put("c")
		r.until("the new URL is told", func() bool { return len(r.to.requests("new.example")) == 1 })
		if n := len(r.to.requests("old.example")); n != 2 {
			t.Errorf("the old URL got %d requests, want 2", n)
		}
		if n := strings.Count(r.log.String(), "put the right value"); n != 1 || strings.Contains(r.log.String(), "hush") {
			t.Errorf("what cannot be used is told %d times, want once and no secret:\n%s", n, r.log)
		}
	})
}

// So is the secret that signs: the receiver takes the new signature alone.
func TestExchangedSigningSecret(t *testing.T) {
	const next = "whsec_bmV4dC1uZXh0LW5leHQtbmV4dC1uZXh0LW5leHQ="
	var taken atomic.Value
	taken.Store(hookSecret)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		hook, err := standardwebhooks.NewWebhook(taken.Load().(string))
		if err != nil {
			t.Error(err)
			return
		}
		body, err := io.ReadAll(req.Body)
		if err != nil || hook.Verify(body, req.Header) != nil {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, hookSecret+" "+next) // as a careless receiver does
		}
	}))
	defer server.Close()
	path := filepath.Join(t.TempDir(), "secret")
	put(t, path, hookSecret)
	file := rulesWithFiles(t, "targets:\n  a: {kind: webhook, url: \""+server.URL+"\", secret_file: "+path+"}\nrules:\n  all: {events: [room.created], targets: [a]}\n")
	log := &logtest.Buffer{}
	s := newSender(&file.Targets[0], nil)
	defer s.client.CloseIdleConnections()
	if err := s.follow(&file.Targets[0], slog.New(slog.NewTextHandler(log, nil))); err != nil {
		t.Fatal(err)
	}
	send := func() error { return s.send(t.Context(), example(&file.Rules[0], "room.created", "a", time.Now())) }
	if err := send(); err != nil {
		t.Error(err)
	}
	taken.Store(next)
	put(t, path, "short")
	err := send()
	if err == nil || strings.Contains(err.Error(), hookSecret) || !strings.Contains(log.String(), "secret is not one of Standard Webhooks") {
		t.Errorf("with the old secret: %v; log:\n%s", err, log)
	}
	put(t, path, next+"\n")
	if err := send(); err != nil {
		t.Errorf("with the new secret: %v", err)
	}
	if strings.Contains(log.String(), "whsec_bm") || strings.Contains(log.String(), "short") {
		t.Errorf("tells a secret:\n%s", log)
	}
}
