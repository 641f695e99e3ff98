package main

import (
	"os"
	"path/filepath"
	"testing"
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
