package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"roomwatch/cmd/roomaudit/trail"
	"roomwatch/diff/retry"
)

const (
	copyEvery    = time.Second // a sealed file is looked for
	copyAgain    = 5 * time.Second
	copyAgainMax = 10 * time.Minute
	copyOutput   = 2 << 10 // bytes of what a command prints that are logged
)

// keepCopies runs the command of the operator for each sealed file, in order, until
// ctx is done. A file is on record as copied when its command has ended well, and not
// before: after a crash it may be run for a file once more.
func (u *upkeep) keepCopies(ctx context.Context) {
	again := retry.BackOff(copyAgain, copyAgainMax)
	for ctx.Err() == nil {
		pause := copyEvery
		switch copied, err := u.copyNext(ctx); {
		case ctx.Err() != nil:
			return
		case err != nil:
			u.tell(ctx, "run ROOMAUDIT_SEALED_COMMAND for each sealed file", "run it by hand for this file; files behind it wait, and none that was not copied is removed", err)
			pause = again.NextBackOff()
		default:
			u.tell(ctx, "run ROOMAUDIT_SEALED_COMMAND for each sealed file", "", nil)
			again.Reset()
			if copied {
				continue
			}
		}
		_ = retry.Sleep(ctx, pause)
	}
}

// copyNext copies the next file, if there is one.
func (u *upkeep) copyNext(ctx context.Context) (copied bool, err error) {
	f, last, found, err := u.trail.NextCopy(ctx)
	if err != nil || !found {
		return false, err
	}
	if err := u.command(ctx, f, last); err != nil {
		return false, fmt.Errorf("%s: %w", f.Path, err)
	}
	if err := u.trail.RecordCopy(time.Now(), f, last); err != nil {
		return false, fmt.Errorf("put on record that %s was copied: %w", f.Path, err)
	}
	u.log.InfoContext(ctx, "sealed file copied", "file", filepath.Base(f.Path), "line", last.Line, "hash", last.Hash)
	return true, nil
}

// command runs the command for one file. It does not get the secrets of roomaudit.
func (u *upkeep) command(ctx context.Context, f trail.File, last trail.Place) error {
	path, err := filepath.Abs(f.Path)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, u.SealedTimeout)
	defer cancel()
	cmd := shell(ctx, u.SealedCommand)
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "NATS_") && !strings.HasPrefix(v, prefix) {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, "SEALED_FILE="+path, "SEALED_NUMBER="+strconv.Itoa(f.Number), fmt.Sprintf("SEALED_LAST=%d:%s", last.Line, last.Hash))
	cmd.WaitDelay = copyAgain
	out := &tailOf{max: copyOutput}
	cmd.Stdout, cmd.Stderr = out, out
	err = cmd.Run()
	if ctx.Err() != nil {
		err = fmt.Errorf("it took longer than ROOMAUDIT_SEALED_TIMEOUT (%s): %w", u.SealedTimeout, ctx.Err())
	}
	if text := strings.TrimSpace(string(out.b)); err != nil && text != "" {
		err = fmt.Errorf("%w: %s", err, visible(text))
	}
	return err
}

// A tailOf keeps the end of what is written to it.
type tailOf struct {
	b   []byte
	max int
}

func (t *tailOf) Write(p []byte) (int, error) {
	t.b = append(t.b, p...)
	if n := len(t.b) - t.max; n > 0 {
		t.b = bytes.Clone(t.b[n:])
	}
	return len(p), nil
}
