// Command roomnotify tells webhooks and chats what happens in the live rooms
// that roomwatch watches.
//
// main.go has the commands; run.go ties the parts together. target.go is what
// becomes of an event, tend.go what becomes of what could not be told at once,
// store.go where it is kept, reload.go how rules are replaced, and sender.go how a target is spoken to.
// unwatched.go tells when nobody watches; past.go lets a target be told the past again, in a dry run. Package
// rules decides what is told to whom, package form what that looks like.
package main

import (
	"context"
	"io"
	_ "time/tzdata" // quiet hours have a zone; images for containers have no files of zones

	"github.com/spf13/cobra"

	"roomwatch/cmd/internal/environ"
	"roomwatch/cmd/internal/program"
	"roomwatch/cmd/roomnotify/rules"
	"roomwatch/publisher/natsconn"
	"roomwatch/publisher/streams"
)

func main() { program.Main(run) }

// run is the whole program: it returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	return program.Run(ctx, rootCommand(), args, stdout, stderr, errConfig, streams.ErrUnfit, streams.ErrLimit, natsconn.ErrAuth)
}

func rootCommand() *cobra.Command {
	root := program.Root("roomnotify", "Notifies webhooks, chats and mailboxes about live rooms",
		"roomnotify reads the events of roomwatch and sends notifications of new rooms, ends, changes and view-count milestones to\n"+
			"webhooks, Slack, Discord, Feishu or Lark, WeCom, Telegram, DingTalk and by e-mail. A rule file says what is sent to whom\n"+
			"(`roomnotify help rules`).")
	path := root.PersistentFlags().String("rules", "", "the rule `file`; without it ROOMNOTIFY_RULES, or rules.yaml")
	program.EnvFile(root, prefix, errConfig)
	root.AddCommand(runCommand(path), checkCommand(path), testCommand(path), reloadCommand(path), resendCommand(path), deadCommand(path),
		program.Topic("rules", "How the rule file is written", func(w io.Writer) error {
			_, err := io.WriteString(w, rules.Help)
			return err
		}),
		program.Topic("config", "The environment variables that configure roomnotify", func(w io.Writer) error {
			return environ.PrintHelp(w, &config{})
		}))
	return root
}
