// Package programtest has what the tests of all commands ask of a command line.
package programtest

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Flags fails for each flag below root that the help does not show with one word
// for its value: of backquotes in a usage the library makes that word.
func Flags(t *testing.T, root *cobra.Command) {
	t.Helper()
	root.Flags().VisitAll(func(f *pflag.Flag) {
		if word, _ := pflag.UnquoteUsage(f); strings.Contains(word, " ") || f.Value.Type() == "bool" && word != "" {
			t.Errorf("%s: --%s %s", root.CommandPath(), f.Name, word)
		}
	})
	for _, c := range root.Commands() {
		Flags(t, c)
	}
}
