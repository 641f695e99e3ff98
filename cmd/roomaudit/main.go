// Command roomaudit keeps an audit trail of the live rooms that roomwatch
// watches: every event of the stream, once and in order, in files that show
// whether someone has changed them.
//
// main.go has the commands; run.go reads the stream into the trail, query.go and
// table.go read the trail, export.go copies it into a database. Package trail has
// the files themselves.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"

	"roomwatch/cmd/internal/environ"
	"roomwatch/cmd/roomaudit/trail"
	"roomwatch/publisher"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// run is the whole program: it returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := rootCommand()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	if !errors.Is(err, errReported) {
		_, _ = fmt.Fprintln(stderr, "roomaudit:", err)
	}
	return exitStatus(err)
}

// errReported marks an error whose text the user has already seen.
var errReported = errors.New("reported")

// exitStatus is 2 for what only a person can mend, and 1 for the rest.
func exitStatus(err error) int {
	for _, e := range []error{errConfig, trail.ErrBroken, publisher.ErrAuth} {
		if errors.Is(err, e) {
			return 2
		}
	}
	return 1
}

// Set by the release with -ldflags "-X main.releaseVersion=…", never at run time.
var releaseVersion string

func version() string {
	if releaseVersion != "" {
		return releaseVersion
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "devel"
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "roomaudit",
		Short: "Keeps an audit trail of live rooms",
		Long: "roomaudit writes every event of roomwatch to files of JSON lines, once and in order. Each line proves the one before;\n" +
			"sealed files are compressed and, with a key, signed. `roomaudit verify` finds what was changed since.",
		SilenceUsage:  true,
		SilenceErrors: true,
		Version:       version(),
	}
	root.AddCommand(runCommand(), verifyCommand(), queryCommand(), exportCommand(), configTopic())
	return root
}

// configTopic is the text that `roomaudit help config` shows.
func configTopic() *cobra.Command {
	c := &cobra.Command{Use: "config", Short: "The environment variables that configure roomaudit"}
	c.SetHelpFunc(func(cmd *cobra.Command, _ []string) {
		if err := environ.PrintHelp(cmd.OutOrStdout(), &config{}); err != nil {
			_, _ = fmt.Fprintln(cmd.ErrOrStderr(), "roomaudit:", err)
		}
	})
	return c
}
