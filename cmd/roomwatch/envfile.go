package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"roomwatch/cmd/internal/environ"
)

const envFileVariable = "ROOMWATCH_ENV_FILE"

// addEnvFile lets root read variables from a file before any command does.
func addEnvFile(root *cobra.Command) {
	path := root.PersistentFlags().String("env-file", "",
		"read variables from `file` (or "+envFileVariable+"), one NAME=value a line, taken as it stands; those that are set already win")
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		if isUnconfigured(cmd) {
			return nil
		}
		name, said := *path, "--env-file"
		if name == "" {
			name, said = os.Getenv(envFileVariable), envFileVariable
		}
		if name == "" {
			return nil
		}
		if err := environ.SetFromFile(name); err != nil {
			return fmt.Errorf("%w: %s: %w", errConfig, said, err)
		}
		return nil
	}
}

// isUnconfigured reports whether a command only tells what roomwatch is and how
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
