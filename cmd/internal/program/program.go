// Package program is what the commands have in common as programs: a signal
// stops them, one line says why they failed, the exit status tells whether
// trying again can help, and each knows which build it is.
package program

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
)

// The exit statuses of a program that failed.
const (
	failed = 1 // trying again may help
	unfit  = 2 // requires operator action: a service manager need not try again
)

// lastWordsWithin is how long the end of a program waits for a reader of its error.
const lastWordsWithin = 2 * time.Second

// ErrReported marks an error whose text the user has already seen.
var ErrReported = errors.New("reported")

// Main runs a program until it is done, or until a signal has made it stop, and
// ends the process with the status that it returns. A second signal ends the
// process at once.
func Main(run func(ctx context.Context, args []string, stdout, stderr io.Writer) int) {
	ctx, stop := stoppable(context.Background())
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// Run executes a command of root and returns the exit status. What requires
// operator action is a mistake on the command line, or an error that wraps one of
// operator.
func Run(ctx context.Context, root *cobra.Command, args []string, stdout, stderr io.Writer, operator ...error) int {
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	explainUsage(root)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return 0
	}
	err = usage(cmd, err)
	if !errors.Is(err, ErrReported) {
		lastWords(stderr, fmt.Sprintf("%s: %v\n", root.Name(), err))
	}
	if isUsage(err) {
		return unfit
	}
	for _, e := range operator {
		if errors.Is(err, e) {
			return unfit
		}
	}
	return failed
}

// lastWords writes why a program ends. It ends too where nobody reads that: who
// supervises it shall see its status.
func lastWords(stderr io.Writer, why string) {
	written := make(chan struct{})
	go func() {
		_, _ = io.WriteString(stderr, why) // there is no other place to tell it
		close(written)
	}()
	select {
	case <-written:
	case <-time.After(lastWordsWithin):
	}
}

// Root returns the root command of a program, with a version command and a
// version flag, for [Run].
func Root(name, short, long string) *cobra.Command {
	root := &cobra.Command{Use: name, Short: short, Long: long, SilenceUsage: true, SilenceErrors: true, Version: Version()}
	root.SetVersionTemplate(about(name))
	root.AddCommand(&cobra.Command{
		Use:   "version",
		Short: "Print version, commit and Go version",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := io.WriteString(cmd.OutOrStdout(), about(name))
			return err
		},
	})
	return root
}

// Topic returns a text that the help command of a program shows.
func Topic(name, short string, print func(io.Writer) error) *cobra.Command {
	c := &cobra.Command{Use: name, Short: short}
	c.SetHelpFunc(func(cmd *cobra.Command, _ []string) {
		if err := print(cmd.OutOrStdout()); err != nil {
			_, _ = fmt.Fprintf(cmd.ErrOrStderr(), "%s: %v\n", cmd.Root().Name(), err)
		}
	})
	return c
}
