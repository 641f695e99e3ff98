package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"roomwatch/cmd/internal/environ"
)

// ofKubernetes are the variables that Kubernetes makes for each service whose
// name is roomwatch or begins with it.
var ofKubernetes = regexp.MustCompile(`^ROOMWATCH_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_\w+)?|PORT=(tcp|udp|sctp)://.*)`)

// unknownVariables returns what is set and looks like a variable of roomwatch,
// but is none: a misspelt one would otherwise be ignored without a word.
func unknownVariables() string {
	known := append(environ.Names(&config{}), envFileVariable)
	var unknown []string
	for _, v := range os.Environ() {
		name, _, _ := strings.Cut(v, "=")
		if strings.HasPrefix(name, "ROOMWATCH_") && !slices.Contains(known, name) && !ofKubernetes.MatchString(v) {
			unknown = append(unknown, name)
		}
	}
	slices.Sort(unknown)
	return strings.Join(unknown, ", ")
}

func warnOfUnknown(ctx context.Context, log *slog.Logger) {
	if names := unknownVariables(); names != "" {
		log.WarnContext(ctx, "configuration", "unknown", names, "mend", "see `roomwatch help config` for the right name, or unset it")
	}
}

// tellUnknown adds a line to what `check` prints.
func tellUnknown(check *cobra.Command) *cobra.Command {
	check.PreRun = func(cmd *cobra.Command, _ []string) {
		if names := unknownVariables(); names != "" {
			_, _ = fmt.Fprintf(cmd.OutOrStdout(), "%-14s %-7s no variable of roomwatch, perhaps misspelt: %s\n", "configuration", "LOOK", names)
		}
	}
	return check
}
