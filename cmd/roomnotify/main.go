// Command roomnotify tells webhooks and chats what happens in the live rooms
// that roomwatch watches.
//
// main.go has the commands; run.go ties the parts together. target.go is what
// becomes of an event, tend.go what becomes of what could not be told at once,
// store.go where it is kept, and sender.go how a target is spoken to. Package
// rules decides what is told to whom, package form what that looks like.
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
	_ "time/tzdata" // quiet hours have a zone; images for containers have no files of zones

	"github.com/spf13/cobra"

	"roomwatch/cmd/internal/environ"
	"roomwatch/cmd/roomnotify/rules"
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
		_, _ = fmt.Fprintln(stderr, "roomnotify:", err)
	}
	return exitStatus(err)
}

// errReported marks an error whose text the user has already seen.
var errReported = errors.New("reported")

// exitStatus is 2 for what only a changed configuration mends, and 1 for the rest.
func exitStatus(err error) int {
	for _, e := range []error{errConfig, errUnfitStream, publisher.ErrAuth} {
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
		Use:   "roomnotify",
		Short: "Tells webhooks and chats about live rooms",
		Long: "roomnotify reads the events of roomwatch and tells new rooms, ends, changes and view-count milestones to webhooks,\n" +
			"Slack, Discord, Feishu or Lark, WeCom and Telegram, as a rule file says (`roomnotify help rules`).",
		SilenceUsage:  true,
		SilenceErrors: true,
		Version:       version(),
	}
	path := root.PersistentFlags().String("rules", "", "the rule `file`; without it ROOMNOTIFY_RULES, or rules.yaml")
	root.AddCommand(runCommand(path), checkCommand(path), testCommand(path), resendCommand(path),
		topic("rules", "How the rule file is written", func(w io.Writer) error {
			_, err := io.WriteString(w, rules.Help)
			return err
		}),
		topic("config", "The environment variables that configure roomnotify", func(w io.Writer) error {
			return environ.PrintHelp(w, &config{})
		}),
		&cobra.Command{Use: "version", Short: "What this program is", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "roomnotify", version())
			return err
		}})
	return root
}

// topic is a text that `roomnotify help` shows.
func topic(name, short string, print func(io.Writer) error) *cobra.Command {
	c := &cobra.Command{Use: name, Short: short}
	c.SetHelpFunc(func(cmd *cobra.Command, _ []string) {
		if err := print(cmd.OutOrStdout()); err != nil {
			_, _ = fmt.Fprintln(cmd.ErrOrStderr(), "roomnotify:", err)
		}
	})
	return c
}
