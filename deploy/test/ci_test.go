package test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// What the step of known vulnerabilities makes of each answer of govulncheck: that the
// database cannot be reached is said in one line, and is no failure; all else that is not
// "none" is one.
func TestVulnerabilities(t *testing.T) {
	const away = `govulncheck: fetching vulnerabilities: Get "https://vuln.go.dev/index/modules.json.gz": dial tcp: lookup vuln.go.dev: no such host`
	for _, tt := range []struct {
		name, says string
		status     int // of govulncheck
		want       string
		failure    int
	}{
		{"none", "No vulnerabilities found.", 0, "No vulnerabilities found.\n", 0},
		{"one is called", "Vulnerability #1: GO-2026-0001\n  Your code is affected by 1 vulnerability", 3, "Vulnerability #1: GO-2026-0001\n  Your code is affected by 1 vulnerability\n", 3},
		{"the database is away", away, 1, "known vulnerabilities: not checked: " + strings.TrimPrefix(away, "govulncheck: fetching vulnerabilities: ") + "\n", 0},
		{"the code does not load", "govulncheck: loading packages: no Go files", 1, "govulncheck: loading packages: no Go files\n", 1},
		{"one is called, and it tells of the database", away + "\nVulnerability #1", 3, away + "\nVulnerability #1\n", 3},
		{"another failure with these words in it", "panic: " + away, 1, "panic: " + away + "\n", 1},
		{"it crashes", "signal: killed", 137, "signal: killed\n", 137},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			stub := "#!/bin/sh\n[ \"$*\" = \"-db x ./...\" ] || { echo \"called with $*\"; exit 99; }\ncat \"$0.says\" >&2\nexit $(cat \"$0.status\")\n"
			bin := filepath.Join(dir, "govulncheck")
			err := errors.Join(os.WriteFile(bin, []byte(stub), 0o755), os.WriteFile(bin+".says", []byte(tt.says+"\n"), 0o644),
				os.WriteFile(bin+".status", []byte(strconv.Itoa(tt.status)), 0o644))
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), filepath.Join(top, ".ci", "vulnerabilities"), bin, "-db", "x")
			text, _ := cmd.CombinedOutput()
			if got := cmd.ProcessState.ExitCode(); got != tt.failure || string(text) != tt.want {
				t.Errorf("status %d:\n%swant %d:\n%s", got, text, tt.failure, tt.want)
			}
		})
	}
}
