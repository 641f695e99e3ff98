package program

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spf13/cobra"
)

func TestRun(t *testing.T) {
	errUnfit := errors.New("the key is not a key")
	for _, tt := range []struct {
		name   string
		err    error
		status int
		stderr string
	}{
		{name: "no error"},
		{name: "an error", err: errors.New("no answer"), status: 1, stderr: "tool: no answer\n"},
		{name: "requires operator action", err: fmt.Errorf("read it: %w", errUnfit), status: 2, stderr: "tool: read it: the key is not a key\n"},
		{name: "reported", err: ErrReported, status: 1},
		{name: "reported, requires operator action", err: errors.Join(ErrReported, errUnfit), status: 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root := Root("tool", "a tool", "a tool for tests")
			root.AddCommand(&cobra.Command{Use: "do", RunE: func(*cobra.Command, []string) error { return tt.err }})
			var stdout, stderr bytes.Buffer
			status := Run(t.Context(), root, []string{"do"}, &stdout, &stderr, errors.New("another"), errUnfit)
			if status != tt.status || stdout.Len() > 0 || stderr.String() != tt.stderr {
				t.Errorf("exit status %d, %q, %q; want %d, %q", status, &stdout, &stderr, tt.status, tt.stderr)
			}
		})
	}
}

// A program that fails ends, although nobody reads why.
func TestErrorThatNobodyReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		root := Root("tool", "a tool", "a tool for tests")
		root.AddCommand(&cobra.Command{Use: "do", RunE: func(*cobra.Command, []string) error { return errors.New("no answer") }})
		began := time.Now()
		status := Run(t.Context(), root, []string{"do"}, io.Discard, w)
		if took := time.Since(began); status != 1 || took != lastWordsWithin {
			t.Errorf("exit status %d after %s", status, took)
		}
		_ = r.Close()
	})
}

func TestVersionAndTopics(t *testing.T) {
	call := func(args ...string) string {
		root := Root("tool", "a tool", "a tool for tests")
		root.AddCommand(&cobra.Command{Use: "do", Run: func(*cobra.Command, []string) {}}, Topic("stars", "what stars are", func(w io.Writer) error {
			_, err := io.WriteString(w, "They shine.\n")
			return err
		}))
		var stdout, stderr bytes.Buffer
		if status := Run(t.Context(), root, args, &stdout, &stderr); status != 0 || stderr.Len() > 0 {
			t.Errorf("%v: exit status %d: %s", args, status, &stderr)
		}
		return stdout.String()
	}
	b := ThisBuild()
	if out := call("version"); !strings.HasPrefix(out, "tool "+b.Version+"\ncommit "+b.Commit+"\n"+b.Go) || out != call("--version") {
		t.Errorf("version prints %q, --version %q", out, call("--version"))
	}
	if out := call("help", "stars"); out != "They shine.\n" {
		t.Errorf("the topic is %q", out)
	}
}
