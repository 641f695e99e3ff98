package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"roomwatch/cmd/roomaudit/trail"
	"roomwatch/diff/retry"
)

const (
	sealRequest = "seal.request" // in the directory of the trail, while a seal is asked for
	sealWait    = time.Minute
)

func sealCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "seal",
		Short: "Seal the open file now, also while roomaudit records",
		Long: "seal closes the file that is being written, so that it is signed and can be copied, and prints its last line. If roomaudit\n" +
			"runs, it seals the file within some seconds; otherwise this command does.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := read(cmd)
			if err != nil {
				return err
			}
			if err := sealNow(cmd.Context(), c); err != nil {
				return err
			}
			return printSealed(cmd.Context(), c.Dir, cmd.OutOrStdout())
		},
	}
}

// sealNow seals the open file, or asks the process that writes it to do so.
func sealNow(ctx context.Context, c *config) error {
	if _, err := trail.Files(c.Dir); err != nil {
		return err // and makes no directory
	}
	log := slog.New(slog.DiscardHandler)
	key, err := c.signer(log)
	if err != nil {
		return err
	}
	w, err := trail.Open(trail.Options{Dir: c.Dir, MaxFileBytes: c.MaxFileBytes, Key: key, Log: log})
	if err == nil {
		return errors.Join(w.Seal(), w.Close())
	}
	if !errors.Is(err, trail.ErrLocked) {
		return err
	}
	path := filepath.Join(c.Dir, sealRequest)
	if err := os.WriteFile(path, nil, 0o640); err != nil {
		return fmt.Errorf("ask for a seal: %w", err)
	}
	for end := time.Now().Add(sealWait); time.Now().Before(end) && ctx.Err() == nil; _ = retry.Sleep(ctx, 100*time.Millisecond) {
		if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
			return nil
		}
	}
	return errors.Join(fmt.Errorf("ask for a seal: the roomaudit that writes %s has not done it; its log says what keeps it", c.Dir), os.Remove(path))
}

// printSealed prints the newest sealed file and its last line, as verify would.
func printSealed(ctx context.Context, dir string, w io.Writer) error {
	files, err := trail.Files(dir)
	if err != nil {
		return err
	}
	for _, f := range slices.Backward(files) {
		end, err := f.End(ctx)
		if err != nil {
			return err
		}
		if end != nil {
			_, err = fmt.Fprintf(w, "%s is sealed\nlast line %d:%s\n", filepath.Base(f.Path), end.Line, end.Hash)
			return err
		}
	}
	_, err = fmt.Fprintln(w, "there is nothing to seal")
	return err
}
