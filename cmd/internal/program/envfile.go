package program

import (
	"fmt"

	"github.com/spf13/cobra"

	"roomwatch/cmd/internal/environ"
)

// EnvFile lets root read variables from a file before any command does. A flag
// names it, or the variable with the prefix of the program. Errors wrap unfit.
func EnvFile(root *cobra.Command, prefix string, unfit error) {
	variable := prefix + environ.EnvFile
	path := root.PersistentFlags().String("env-file", "",
		"read variables from `file` (or "+variable+"), one NAME=value per line, without quotes; variables that are already set win")
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		if isUnconfigured(cmd) {
			return nil
		}
		name, said := *path, "--env-file"
		if name == "" {
			name, said = environ.Value(variable), variable
		}
		if name == "" {
			return nil
		}
		if err := environ.SetFromFile(name); err != nil {
			return fmt.Errorf("%w: %s: %w", unfit, said, err)
		}
		return nil
	}
}

// isUnconfigured reports whether a command only tells what the program is and how
// it is used: it works whatever is configured.
func isUnconfigured(cmd *cobra.Command) bool {
	for cmd.HasParent() && cmd.Parent().HasParent() {
		cmd = cmd.Parent()
	}
	switch cmd.Name() {
	case "version", "help", "completion", "man", cobra.ShellCompRequestCmd, cobra.ShellCompNoDescRequestCmd:
		return true
	}
	return false
}
