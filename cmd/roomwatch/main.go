// Command roomwatch puts every change of a Tencent Live application's list of
// live rooms on NATS JetStream.
//
// main.go has the commands, and each has a file that is called after it. run and
// demo watch: package daemon is what they run. simulator is what demo watches, for
// a roomwatch of its own. tail and verify read the stream
// (subscribed.go; tail by follow.go); check tries everything that run needs (checkplaces.go);
// rooms, status, explain, backup and healthcheck ask a running daemon (client.go).
package main

import (
	"context"
	"errors"
	"io"

	"github.com/spf13/cobra"

	"roomwatch/cmd/internal/program"
	"roomwatch/cmd/roomwatch/config"
	"roomwatch/publisher"
	"roomwatch/publisher/natsconn"
	"roomwatch/publisher/streams"
	"roomwatch/state"
)

func main() { program.Main(run) }

// run is the whole program: it returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	return program.Run(ctx, rootCommand(), args, stdout, stderr, config.ErrInvalid, state.ErrOther, state.ErrBroken, publisher.ErrUnfit, natsconn.ErrAuth, streams.ErrLimit)
}

func rootCommand() *cobra.Command {
	root := program.Root("roomwatch", "Puts every change of a Tencent Live room list on NATS JetStream",
		"roomwatch continuously polls the list of live rooms of a Tencent Live application and publishes\n"+
			"every difference on NATS JetStream as an event: room.created, room.ended, viewcount.changed.\n\n"+
			"No account at hand? Start with `roomwatch demo`.")
	program.EnvFile(root, config.Prefix, config.ErrInvalid)
	root.AddCommand(runCommand(), demoCommand(), simulatorCommand(), checkCommand(), tailCommand(), verifyCommand(), roomsCommand(), statusCommand(), explainCommand(), backupCommand(), configHelp(),
		healthcheckCommand())
	if manCommand != nil {
		root.AddCommand(manCommand())
	}
	return root
}

// manCommand writes the man pages, in a build with the tag man (man.go); in others it
// is nil, so that a daemon needs no library for them.
var manCommand func() *cobra.Command

// configHelp is the help topic `roomwatch help config`.
func configHelp() *cobra.Command {
	return program.Topic("config", "The environment variables that configure roomwatch", func(w io.Writer) error {
		_, err := io.WriteString(w, "roomwatch is configured by environment variables alone; --env-file reads them from a file, one NAME=value per line, without quotes. Durations are written as 10s, 5m, 24h.\n\n")
		return errors.Join(err, config.PrintHelp(w))
	})
}
