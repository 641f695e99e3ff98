package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/hashicorp/go-envparse"
	"github.com/spf13/cobra"
)

const envFileVariable = "ROOMWATCH_ENV_FILE"

// addEnvFile lets root read variables from a file before any command does.
func addEnvFile(root *cobra.Command) {
	path := root.PersistentFlags().String("env-file", "",
		"read variables from `file` (or "+envFileVariable+"), one NAME=value a line; those that are set already win")
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
		if err := readEnvFile(name); err != nil {
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

// readEnvFile sets the variables of the file that are not set. A variable that
// is set to nothing is as good as unset, here as everywhere. No value is in the
// error: it may be a secret.
func readEnvFile(path string) (err error) {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("%w; name a file that exists and that roomwatch may read", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	vars, err := envparse.Parse(f)
	var bad *envparse.ParseError
	switch {
	case errors.As(err, &bad) && bad.Line > 0:
		return fmt.Errorf("%s:%d: %w; write NAME=value", path, bad.Line, bad.Err)
	case err != nil:
		return fmt.Errorf("%s: %w", path, err)
	}
	for name, value := range vars {
		if os.Getenv(name) != "" {
			continue
		}
		if err := os.Setenv(name, value); err != nil {
			return fmt.Errorf("%s: set %s: %w", path, name, err)
		}
	}
	return nil
}
