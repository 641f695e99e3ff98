package program

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// stoppable returns a context that the first SIGINT or SIGTERM ends. The second
// one ends the process at once: whoever asks again does not want to wait, and
// what is on disk is whole at every moment. Its status is the one that a shell
// shows for the signal. It does so too where the process was started with SIGINT
// ignored, as in the background of a script.
func stoppable(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	asked := make(chan os.Signal, 2)
	signal.Notify(asked, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-asked
		cancel()
		status := failed
		if s, ok := (<-asked).(syscall.Signal); ok {
			status = 128 + int(s)
		}
		os.Exit(status)
	}()
	return ctx, cancel
}

// Stopped reports whether err is no failure of a start, but a signal that came
// before it was done.
func Stopped(ctx context.Context, err error) bool {
	return errors.Is(err, context.Canceled) && errors.Is(context.Cause(ctx), context.Canceled)
}

// OnHangup calls f for each SIGHUP, until the returned function is called.
func OnHangup(f func()) (stop func()) {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	done := make(chan struct{})
	var g sync.WaitGroup
	g.Go(func() {
		for {
			select {
			case <-hangups:
				f()
			case <-done:
				return
			}
		}
	})
	return func() {
		signal.Stop(hangups)
		close(done)
		g.Wait()
	}
}

// Survive lets a daemon live on where a signal would end a command, until the
// returned function is called: a terminal that closes or a supervisor that asks
// for a reload (SIGHUP), and a reader of its log that has gone (SIGPIPE). The
// other commands keep the default, so `tail | head` ends in silence.
func Survive(ctx context.Context, log *slog.Logger) (stop func()) {
	// Taken, not ignored: a write to a broken pipe then returns an error, and a
	// process that the daemon starts has the default again.
	piped := make(chan os.Signal, 1)
	signal.Notify(piped, syscall.SIGPIPE)
	return OnHangup(func() { log.InfoContext(ctx, "SIGHUP received") }) // SIGPIPE stays taken, for the last words
}
