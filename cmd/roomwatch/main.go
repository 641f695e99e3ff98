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

	"github.com/spf13/cobra"

	"roomwatch/cmd/internal/program"
	"roomwatch/publisher"
	"roomwatch/publisher/streams"
	"roomwatch/state"
)

func main() { program.Main(run) }

// run is the whole program: it returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	return program.Run(ctx, rootCommand(), args, stdout, stderr, errConfig, state.ErrOther, state.ErrBroken, publisher.ErrUnfit, publisher.ErrAuth, streams.ErrLimit)
}

func rootCommand() *cobra.Command {
	root := program.Root("roomwatch", "Puts every change of a Tencent Live room list on NATS JetStream",
		"roomwatch reads the list of live rooms of a Tencent Live application again and again and puts\n"+
			"every difference on NATS JetStream as an event: room.created, room.ended, viewcount.changed.\n\n"+
			"No account at hand? Start with `roomwatch demo`.")
	program.EnvFile(root, prefix, errConfig)
	root.AddCommand(runCommand(), demoCommand(), tellUnknown(checkCommand()), tailCommand(), verifyCommand(), roomsCommand(), statusCommand(), configHelp(),
		healthcheckCommand(), manCommand())
	return root
}

// configHelp is the help topic `roomwatch help config`.
func configHelp() *cobra.Command {
	return program.Topic("config", "The environment variables that configure roomwatch", func(w io.Writer) error {
		_, err := io.WriteString(w, "roomwatch is configured by environment variables alone; --env-file reads them from a file, each value as it stands after NAME=, without quotes. Durations are written as 10s, 5m, 24h.\n\n")
		return errors.Join(err, printConfigHelp(w))
	})
}

// configured reads the environment and checks it whole. The error names every
// problem at once.
func configured(validate ...func(*config) error) (config, error) {
	c, err := loadConfig()
	for _, v := range validate {
		err = errors.Join(err, v(&c))
	}
	if err != nil {
		if names := unknownVariables(); names != "" {
			err = fmt.Errorf("%w\nno variable of roomwatch, perhaps misspelt: %s", err, names)
		}
		return c, fmt.Errorf("%w:\n%w\n`roomwatch help config` lists every variable", errConfig, err)
	}
	return c, nil
}
