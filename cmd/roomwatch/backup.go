package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"roomwatch/cmd/internal/display"
	"roomwatch/cmd/roomwatch/web"
	"roomwatch/state"
)

// backupTimeout is for a whole copy; the daemon gives up earlier on a reader that takes nothing.
const backupTimeout = 10 * time.Minute

func backupCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "backup FILE",
		Short: "Copy the state of the running daemon, as it is at one moment",
		Long: "backup asks the daemon at ROOMWATCH_HTTP_ADDR, with the token if one is set, for a copy of its state.db. FILE is replaced\n" +
			"when the copy is there, on the disk, and was checked; - writes it to standard output. To come back: stop roomwatch, put FILE\n" +
			"in the place of ROOMWATCH_DATA_DIR/state.db, start it. Where no daemon runs, copy state.db itself.",
		Example: "  roomwatch backup /backup/state.db\n" +
			"  kubectl exec roomwatch-0 -- /roomwatch backup - > state.db",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := readClient()
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), backupTimeout)
			defer cancel()
			if args[0] == "-" {
				_, err := c.backup(ctx, cmd.OutOrStdout())
				return err
			}
			return backUp(ctx, c, args[0], cmd.OutOrStdout())
		},
	}
}

// backup writes the copy to w and returns how many bytes it has.
func (c *client) backup(ctx context.Context, w io.Writer) (int64, error) {
	c.http.Timeout = 0 // ctx has one
	defer c.http.CloseIdleConnections()
	resp, err := c.ask(ctx, web.BackupPath, nil)
	if err != nil {
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.Header.Get("Content-Type") != "application/octet-stream" {
		return 0, c.stranger(http.StatusOK)
	}
	n, err := io.Copy(w, resp.Body) // an error if fewer bytes come than were announced
	if err != nil {
		return n, fmt.Errorf("copy from %s: %w", c.base, err)
	}
	return n, nil
}

// backUp puts a copy in the place of path, and says what it holds.
//
//	until the copy was checked  path is as it was, beside it a file of another name,
//	                            which only a crash leaves there
//	after that                  path is the copy
func backUp(ctx context.Context, c *client, path string, w io.Writer) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.partial") // for its owner alone
	if err != nil {
		return fmt.Errorf("back up: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	n, err := c.backup(ctx, f)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	s, exists, err := state.Inspect(f.Name(), 0)
	if err == nil && !exists {
		err = fmt.Errorf("back up: what %s sent is no state", c.base)
	}
	if err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return fmt.Errorf("back up: %w", err)
	}
	if _, err := fmt.Fprintf(w, "%s: %s, %s for the stream, %s\n", plain(path), display.Count(s.Rooms, "room"), display.Count(s.Waiting, "event that waits", "events that wait"), display.Count(n, "byte")); err != nil {
		return fmt.Errorf("print what was copied: %w", err)
	}
	return nil
}
