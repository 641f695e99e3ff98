// Command roomwatch puts every change of a Tencent Live application's list of
// live rooms on NATS JetStream.
//
// main.go has the commands; run.go and demo.go the two that watch, daemon.go
// how the parts are tied together, from top to bottom; detector.go is the
// hand-over from the poller to the state; status.go is what the daemon says of
// itself, and client.go asks it from another process.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

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
		_, _ = fmt.Fprintln(stderr, "roomwatch:", err)
	}
	return exitStatus(err)
}

// errReported marks an error whose text the user has already seen.
var errReported = errors.New("reported")

// exitStatus is 2 for what only a changed configuration mends, and 1 for the rest.
func exitStatus(err error) int {
	for _, e := range []error{errConfig, publisher.ErrUnfit, publisher.ErrAuth} {
		if errors.Is(err, e) {
			return 2
		}
	}
	return 1
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "roomwatch",
		Short: "Puts every change of a Tencent Live room list on NATS JetStream",
		Long: "roomwatch reads the list of live rooms of a Tencent Live application again and again and puts\n" +
			"every difference on NATS JetStream as an event: room.created, room.ended, viewcount.changed.\n\n" +
			"No account at hand? Start with `roomwatch demo`.",
		SilenceUsage:  true,
		SilenceErrors: true,
		Version:       version(),
	}
	root.SetVersionTemplate(thisBuild().String())
	addEnvFile(root)
	root.AddCommand(runCommand(), demoCommand(), checkCommand(), tailCommand(), verifyCommand(), roomsCommand(), statusCommand(), configHelp(),
		versionCommand(), healthcheckCommand(), manCommand())
	return root
}

// configHelp is the help topic `roomwatch help config`.
func configHelp() *cobra.Command {
	c := &cobra.Command{Use: "config", Short: "The environment variables that configure roomwatch"}
	c.SetHelpFunc(func(cmd *cobra.Command, _ []string) {
		w := cmd.OutOrStdout()
		_, _ = fmt.Fprint(w, "roomwatch is configured by environment variables alone; --env-file reads them from a file. Durations are written as 10s, 5m, 24h.\n\n")
		if err := printConfigHelp(w); err != nil {
			_, _ = fmt.Fprintln(cmd.ErrOrStderr(), "roomwatch:", err)
		}
	})
	return c
}

// configured reads the environment and checks it whole. The error names every
// problem at once.
func configured(validate ...func(*config) error) (config, error) {
	c, err := loadConfig()
	for _, v := range validate {
		err = errors.Join(err, v(&c))
	}
	if err != nil {
		return c, fmt.Errorf("%w:\n%w\n`roomwatch help config` lists every variable", errConfig, err)
	}
	return c, nil
}
