package program

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

func usageRoot() *cobra.Command {
	root := Root("tool", "a tool", "a tool for tests")
	do := &cobra.Command{Use: "do", Args: cobra.NoArgs, Run: func(*cobra.Command, []string) {}}
	do.Flags().Int("times", 1, "how often")
	pick := &cobra.Command{Use: "pick", Args: cobra.NoArgs, RunE: func(*cobra.Command, []string) error {
		return BadFlags(errors.New("--size is 9: write 1 to 3"))
	}}
	pick.Flags().Int("size", 1, "how large")
	_ = pick.MarkFlagRequired("size") // fails only for a flag that does not exist
	write := &cobra.Command{Use: "write directory", Args: cobra.ExactArgs(1), Run: func(*cobra.Command, []string) {}}
	root.AddCommand(do, pick, write, Topic("stars", "what stars are", func(w io.Writer) error {
		_, err := io.WriteString(w, "They shine.\n")
		return err
	}))
	return root
}

// What is wrong with a command line is one line that says where to read on.
func TestUsageErrors(t *testing.T) {
	for line, want := range map[string]string{
		"bogus":             `unknown command "bogus" for "tool"; see ` + "`tool --help`",
		"writ":              `unknown command "writ" for "tool"; did you mean write; see ` + "`tool --help`",
		"--bogus":           "unknown flag: --bogus; see `tool --help`",
		"do --bogus":        "unknown flag: --bogus; see `tool do --help`",
		"do --times x":      "invalid argument \"x\" for \"--times\" flag: strconv.ParseInt: parsing \"x\": invalid syntax; see `tool do --help`",
		"pick":              "required flag(s) \"size\" not set; see `tool pick --help`",
		"pick --size 9":     "--size is 9: write 1 to 3",
		"do x":              "do takes no arguments, but got \"x\"; see `tool do --help`",
		"write":             "write `tool write directory`; see `tool write --help`",
		"write a b":         "write `tool write directory`; see `tool write --help`",
		"completion bash x": "bash takes no arguments, but got \"x\"; see `tool completion bash --help`",
		"help bogus":        "there is no help on \"bogus\"; see `tool --help`",
		"help do x":         "there is no help on \"do x\"; see `tool --help`",
		"help stars x":      "there is no help on \"stars x\"; see `tool --help`",
	} {
		var stdout, stderr bytes.Buffer
		status := Run(t.Context(), usageRoot(), strings.Fields(line), &stdout, &stderr)
		if status != 2 || stdout.Len() > 0 || stderr.String() != "tool: "+want+"\n" {
			t.Errorf("%s: exit status %d, stdout %q, stderr\n%s\nwant\ntool: %s", line, status, &stdout, &stderr, want)
		}
	}
}

// The help names a topic by what shows it.
func TestHelp(t *testing.T) {
	for line, want := range map[string]string{
		"":           "\n  tool help stars ",
		"help":       "\n  tool help stars ",
		"help do":    "\n  tool do [flags]",
		"help stars": "They shine.",
	} {
		var stdout, stderr bytes.Buffer
		status := Run(t.Context(), usageRoot(), strings.Fields(line), &stdout, &stderr)
		if status != 0 || stderr.Len() > 0 || !strings.Contains(stdout.String(), want) {
			t.Errorf("%q: exit status %d, stderr %q, stdout\n%s\nwant in it %q", line, status, &stderr, &stdout, want)
		}
	}
}
