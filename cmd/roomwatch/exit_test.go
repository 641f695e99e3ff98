package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"roomwatch/diff"
	"roomwatch/poller/simulator"
	"roomwatch/state"
)

// A state that requires operator action ends the daemon with status 2, which its
// service manager does not try again; so does a mistake on the command line.
func TestExitStatusOfWhatAPersonMends(t *testing.T) {
	r := newRig(t, lively(simulator.NextFrozen))
	other := t.TempDir()
	s, err := state.Open(state.Config{Path: filepath.Join(other, "state.db"), SDKAppID: testApp + 1, Policy: diff.DefaultPolicy()})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	broken := t.TempDir()
	if err := os.WriteFile(filepath.Join(broken, "state.db"), []byte(strings.Repeat("no state ", 9999)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		data, want string
		args       []string
	}{
		{data: other, want: "give each application a data directory of its own", args: []string{"run"}},
		{data: broken, want: "move the file away", args: []string{"run"}},
		{data: t.TempDir(), want: "unknown flag: --bogus", args: []string{"run", "--bogus"}},
		{data: t.TempDir(), want: "unknown command", args: []string{"walk"}},
	} {
		if status, out := runWith(t, r.env(tt.data), tt.args...); status != 2 || !strings.Contains(out, tt.want) {
			t.Errorf("%q: exit status %d, want 2 and %q:\n%s", tt.args, status, tt.want, out)
		}
	}
}
