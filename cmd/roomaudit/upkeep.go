package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"roomwatch/cmd/roomaudit/trail"
)

const (
	indexEvery  = 10 * time.Second
	removeEvery = 10 * time.Minute
)

// keepIndexes makes the index of each file that was sealed, until ctx is done. It
// reads the file, so it is beside the recording and not in the way of it.
func keepIndexes(ctx context.Context, dir string, log *slog.Logger) {
	failing := ""
	for ctx.Err() == nil {
		text := ""
		if err := trail.Index(ctx, dir); err != nil {
			text = err.Error()
		}
		if text != failing && text != "" {
			log.WarnContext(ctx, "indexes of the trail", "error", text, "hint", "queries read the files without an index whole; `roomaudit verify` says more of a file that cannot be read")
		}
		failing = text
		wait(ctx, indexEvery)
	}
}

// idle looks after the trail while nothing comes.
func (r *recorder) idle(ctx context.Context) error {
	if err := r.trail.Tick(time.Now()); err != nil {
		return fmt.Errorf("%w: %w", errDisk, err)
	}
	if _, err := r.place(ctx); err != nil { // a stream that was made anew has no consumer of ours
		return err
	}
	look, cancel := context.WithTimeout(ctx, askWait)
	defer cancel()
	if _, err := r.js.Consumer(look, r.Stream, r.Durable); err != nil {
		return fmt.Errorf("consumer %s of stream %s: %w", r.Durable, r.Stream, err)
	}
	if err := errors.Join(r.removeOld(), r.sealAsked()); err != nil {
		return err
	}
	r.condition(ctx, nil)
	return nil
}

// removeOld removes, now and then, the files that are older than they are to be kept.
func (r *recorder) removeOld() error {
	if r.Keep == 0 || time.Since(r.removed) < removeEvery {
		return nil
	}
	if err := r.trail.RemoveOld(time.Now()); err != nil {
		return fmt.Errorf("%w: %w", errDisk, err)
	}
	r.removed = time.Now()
	return nil
}
