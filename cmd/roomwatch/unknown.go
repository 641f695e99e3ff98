package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"roomwatch/cmd/internal/environ"
)

// prefix begins the names of roomwatch's own variables.
const prefix = "ROOMWATCH_"

func unknownVariables() string { return environ.Unknown(&config{}, prefix) }

// tellUnknown adds a line to what `check` prints.
func tellUnknown(check *cobra.Command) *cobra.Command {
	check.PreRun = func(cmd *cobra.Command, _ []string) {
		if names := unknownVariables(); names != "" {
			_, _ = fmt.Fprintf(cmd.OutOrStdout(), "%-14s %-7s no variable of roomwatch, perhaps misspelt: %s\n", "configuration", "LOOK", names)
		}
	}
	return check
}
