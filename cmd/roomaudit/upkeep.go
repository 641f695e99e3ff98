package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"roomwatch/cmd/roomaudit/trail"
	"roomwatch/diff/retry"
)

const (
	indexEvery  = 10 * time.Second
	exportEvery = 30 * time.Second // each time reads the newest file
	upkeepEvery = time.Second
	removeAgain = time.Minute // after a failure
)

// keepIndexes makes the index of each file that was sealed, until ctx is done. It
// reads the file, so it is beside the recording and not in the way of it.
func keepIndexes(ctx context.Context, dir string, log *slog.Logger) {
	failing := ""
	var again retry.Reminder
	for ctx.Err() == nil {
		text := ""
		if err := trail.Index(ctx, dir); err != nil {
			text = err.Error()
		}
		if text != "" && (text != failing || again.Due()) {
			again.Said()
			log.WarnContext(ctx, "indexes of the trail cannot be kept up", "error", text, "fix", "queries read the files without an index whole; `roomaudit verify` says more of a file that cannot be read")
		}
		failing = text
		_ = retry.Sleep(ctx, indexEvery)
	}
}

// idle looks after the stream while nothing comes.
func (r *recorder) idle(ctx context.Context) error {
	if _, err := r.place(ctx); err != nil { // a stream that was recreated has no consumer of ours
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, askWait)
	defer cancel()
	if _, err := r.js.Consumer(ctx, r.Stream, r.Durable); err != nil {
		return fmt.Errorf("consumer %s of stream %s: %w", r.Durable, r.Stream, err)
	}
	return nil
}

// An upkeep keeps a trail in order, whether NATS answers or not. What it cannot do
// it retries, and is no reason to record nothing.
type upkeep struct {
	*config
	trail *trail.Writer
	log   *slog.Logger

	again    time.Time   // when old files are removed next, after a failure
	removing error       // what is wrong with it; nil: nothing
	sealed   os.FileInfo // the request for a seal that was met; nil: none
	status   *status     // has what is wrong with each duty at present

	reminders map[string]*retry.Reminder // of each duty
}

func newUpkeep(c *config, w *trail.Writer, s *status, log *slog.Logger) *upkeep {
	return &upkeep{config: c, trail: w, log: log, status: s, reminders: map[string]*retry.Reminder{}}
}

// run keeps the trail in order until ctx is done. A trail that somebody changes ends it.
func (u *upkeep) run(ctx context.Context) error {
	for ctx.Err() == nil {
		now := time.Now()
		for _, d := range []struct {
			name, hint string
			do         func(time.Time) error
		}{
			{"seal the file of a day that is over", "make room on the disk of ROOMAUDIT_DIR, or fix it", u.trail.Tick},
			{"seal the open file, as it was asked for", "make room on the disk of ROOMAUDIT_DIR, and let roomaudit write there", u.sealAsked},
			{"remove the files that are older than ROOMAUDIT_KEEP", "let roomaudit remove files from ROOMAUDIT_DIR; `roomaudit verify` says more of one that cannot be read", u.removeOld},
		} {
			err := d.do(now)
			if errors.Is(err, trail.ErrBroken) {
				return err
			}
			u.tell(ctx, d.name, d.hint, err)
		}
		_ = retry.Sleep(ctx, upkeepEvery)
	}
	return nil
}

// tell logs that a duty cannot be done, again while that lasts, and that it can be.
func (u *upkeep) tell(ctx context.Context, duty, hint string, err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if u.reminders[duty] == nil {
		u.reminders[duty] = &retry.Reminder{}
	}
	again := u.reminders[duty]
	switch before := u.status.duty(duty, text); {
	case before == text && (text == "" || !again.Due()):
	case text == "":
		u.log.InfoContext(ctx, "upkeep of the trail recovered", "duty", duty)
	default:
		again.Said()
		u.log.WarnContext(ctx, "upkeep of the trail failed", "duty", duty, "error", text, "fix", hint+"; it is retried, and events are recorded meanwhile")
	}
}

// removeOld removes the files that are older than they are to be kept. A failure may
// be one of reading them, which is not tried again at once.
func (u *upkeep) removeOld(now time.Time) error {
	if now.Before(u.again) {
		return u.removing
	}
	if u.removing = u.trail.RemoveOld(now); u.removing != nil {
		u.again = now.Add(removeAgain)
	}
	return u.removing
}

// sealAsked seals the open file if somebody has asked for it. A crash between the
// two steps leaves a request for what is done: nothing is open then. A request that
// cannot be removed is met once.
func (u *upkeep) sealAsked(time.Time) error {
	path := filepath.Join(u.Dir, sealRequest)
	asked, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if u.sealed == nil || !os.SameFile(u.sealed, asked) || !u.sealed.ModTime().Equal(asked.ModTime()) {
		if err := u.trail.Seal(); err != nil {
			return err
		}
		u.sealed = asked
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// keepSQLite copies the trail into the database of ROOMAUDIT_SQLITE, until ctx is
// done. It reads the trail as any other reader, so it is not in the way of the recording.
func (u *upkeep) keepSQLite(ctx context.Context) {
	for copied := uint64(0); ctx.Err() == nil; _ = retry.Sleep(ctx, exportEvery) {
		line, _ := u.trail.Lines()
		if line == copied {
			continue
		}
		_, err := export(ctx, u.Dir, u.SQLite)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			copied = line
		}
		if err != nil {
			err = fmt.Errorf("export to %s: %w", u.SQLite, err)
		}
		hint := "let roomaudit write there, or name another file; `roomaudit export --sqlite` adds what is missing"
		if locked(err) {
			hint = "end the program that uses the database, or wait for it; what is missing is added afterwards"
		}
		u.tell(ctx, "copy the trail to ROOMAUDIT_SQLITE", hint, err)
	}
}
