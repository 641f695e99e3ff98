// Command roomaudit keeps an audit trail of the live rooms that roomwatch
// watches: every event of the stream, once and in order, in files that show
// whether someone has changed them.
//
// main.go has the commands; run.go and session.go read the stream into the trail, place.go finds
// where the two stand to each other; upkeep.go, seal.go and copies.go look after indexes, old files,
// seals and copies, and http.go, status.go and metrics.go tell of it all;
// verify.go checks the trail, query.go and table.go read it, room.go and lives.go say
// of it what a room was like, export.go copies it into a database, which database.go
// reads for queries. Package trail has
// the files themselves.
package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"roomwatch/cmd/internal/environ"
	"roomwatch/cmd/internal/program"
	"roomwatch/cmd/roomaudit/trail"
	"roomwatch/publisher/natsconn"
	"roomwatch/publisher/streams"
)

func main() { program.Main(run) }

// run is the whole program: it returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	return program.Run(ctx, rootCommand(), args, stdout, stderr, errConfig, trail.ErrBroken, errTaken, streams.ErrUnfit, streams.ErrLimit, natsconn.ErrAuth)
}

func rootCommand() *cobra.Command {
	root := program.Root("roomaudit", "Keeps an audit trail of live rooms",
		"roomaudit writes every event of roomwatch to files of JSON lines, once and in order. Each line proves the one before;\n"+
			"sealed files are compressed and, with a key, signed. `roomaudit verify` finds what was changed since.")
	program.EnvFile(root, prefix, errConfig)
	root.AddCommand(runCommand(), verifyCommand(), queryCommand(), roomCommand(), sealCommand(), exportCommand(),
		program.Topic("config", "The environment variables that configure roomaudit", func(w io.Writer) error {
			return environ.PrintHelp(w, &config{})
		}))
	return root
}
