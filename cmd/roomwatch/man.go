//go:build man

package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"roomwatch/cmd/internal/program"
)

func init() { manCommand = newManCommand }

// newManCommand is for those who make packages: go run -tags man ./cmd/roomwatch man directory.
func newManCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "man directory",
		Short:  "Write the man pages into a directory",
		Args:   cobra.ExactArgs(1),
		Hidden: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return fmt.Errorf("write man pages: %w", err)
			}
			root := cmd.Root()
			root.DisableAutoGenTag = true // the same input gives the same page
			header := &doc.GenManHeader{Title: "ROOMWATCH", Section: "1", Source: "roomwatch " + program.Version(), Manual: "roomwatch"}
			if err := doc.GenManTree(root, header, args[0]); err != nil {
				return fmt.Errorf("write man pages: %w", err)
			}
			return nil
		},
	}
}
