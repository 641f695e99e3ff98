package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"roomwatch/cmd/internal/program/programtest"
)

// A byte order mark at the start of the rules, or of a file with a secret, is no
// part of what the file holds.
func TestFilesWithByteOrderMark(t *testing.T) {
	dir := t.TempDir()
	secret, path := filepath.Join(dir, "url"), filepath.Join(dir, "rules.yaml")
	text := "\ufefftargets:\n  team: {kind: slack, url_file: " + secret + "}\nrules:\n  all: {events: [room.created], targets: [team]}\n"
	for name, content := range map[string]string{secret: "\ufeffhttps://hooks.slack.com/hush\n", path: text} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f, err := readRules(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := f.Targets[0].URL; got != "https://hooks.slack.com/hush" {
		t.Errorf("the URL is %q", got)
	}
}

// A misspelt variable is named, unless the rule file names it; and a file of
// variables counts, but for what is set.
func TestVariables(t *testing.T) {
	dir := t.TempDir()
	env, path := filepath.Join(dir, "env"), filepath.Join(dir, "rules.yaml")
	put(t, env, "ROOMNOTIFY_TEAM_URL=https://hooks.slack.com/hush\nROOMNOTIFY_NAM=tell\nNATS_URL=nats://127.0.0.1:1\nROOMNOTIFY_NAME=\n")
	put(t, path, "targets:\n  team: {kind: slack, url: \"${ROOMNOTIFY_TEAM_URL}\"}\nrules:\n  all: {events: [room.created], targets: [team]}\n")
	for _, name := range []string{"ROOMNOTIFY_TEAM_URL", "ROOMNOTIFY_NAM", "NATS_URL", "ROOMNOTIFY_RULES"} { // as they were, afterwards
		t.Setenv(name, "")
		_ = os.Unsetenv(name)
	}
	t.Setenv("ROOMNOTIFY_RULES", path)
	t.Setenv("ROOMNOTIFY_PORT", "tcp://10.0.0.1:80")
	var out, stderr bytes.Buffer
	if status := run(t.Context(), []string{"check", "--env-file", env}, &out, &stderr); status != 1 || !strings.Contains(out.String(), "WARN    unknown variables, perhaps misspelt: ROOMNOTIFY_NAM\n") {
		t.Errorf("exit status %d:\n%s%s", status, &out, &stderr)
	}
	t.Setenv("ROOMNOTIFY_LOG_FORMAT", "xml")
	stderr.Reset()
	if status := run(t.Context(), []string{"run"}, &out, &stderr); status != 2 || !strings.Contains(stderr.String(), "\nunknown variables, perhaps misspelt: ROOMNOTIFY_NAM\n") {
		t.Errorf("exit status %d:\n%s", status, &stderr)
	}
	t.Setenv("ROOMNOTIFY_ENV_FILE", filepath.Join(dir, "none"))
	stderr.Reset()
	if status := run(t.Context(), []string{"run"}, &out, &stderr); status != 2 || !strings.Contains(stderr.String(), "ROOMNOTIFY_ENV_FILE: open ") {
		t.Errorf("exit status %d:\n%s", status, &stderr)
	}
}

// No two targets of any installations share a position in the events.
func TestDurablesAreDistinct(t *testing.T) {
	of := map[string]string{}
	for _, name := range []string{"prod", "prod-", "prod--", "prod-eu", "prod-eu-", "prod-eu-team", "p"} {
		for _, target := range []string{"team", "eu-team", "eu--team", "eu-team-", "rod-eu-team", "Team"} {
			d := (&config{Name: name}).durable(target)
			if other, known := of[d]; known {
				t.Errorf("%s is of %s and of %s+%s", d, other, name, target)
			}
			of[d] = name + "+" + target
		}
	}
	if d := (&config{Name: "notify"}).durable("eu-team"); d != "notify-eu-team" {
		t.Errorf("the durable of notify and eu-team is %s", d)
	}
}

func TestFlagsAreReadable(t *testing.T) { programtest.Flags(t, rootCommand()) }
