package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
)

// natsLog gives the embedded server's lines to slog: errors as they are, the
// rest at debug.
type natsLog struct {
	log   *slog.Logger
	fatal chan string            // the first reason why the server cannot continue
	last  atomic.Pointer[string] // the newest error
}

// newest returns the newest error of the server, empty if there was none.
func (l *natsLog) newest() string {
	if last := l.last.Load(); last != nil {
		return *last
	}
	return ""
}

func (l *natsLog) put(level slog.Level, format string, v []any) {
	l.log.Log(context.Background(), level, "nats-server", "text", strings.TrimSpace(fmt.Sprintf(format, v...)))
}

// Noticef implements the server's logger.
func (l *natsLog) Noticef(format string, v ...any) { l.put(slog.LevelDebug, format, v) }

// Warnf implements the server's logger.
func (l *natsLog) Warnf(format string, v ...any) { l.put(slog.LevelDebug, format, v) }

// Errorf implements the server's logger.
func (l *natsLog) Errorf(format string, v ...any) {
	text := fmt.Sprintf(format, v...)
	l.last.Store(&text)
	l.put(slog.LevelError, format, v)
}

// Fatalf implements the server's logger. The server leaves it to the logger to
// end the process; whoever started it gets the reason instead.
func (l *natsLog) Fatalf(format string, v ...any) {
	select {
	case l.fatal <- fmt.Sprintf(format, v...):
	default: // only the first reason matters
	}
}

// Debugf implements the server's logger.
func (l *natsLog) Debugf(format string, v ...any) { l.put(slog.LevelDebug, format, v) }

// Tracef implements the server's logger.
func (l *natsLog) Tracef(format string, v ...any) { l.put(slog.LevelDebug, format, v) }
