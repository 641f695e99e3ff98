package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// embeddedReady bounds the start of the embedded server: it reads its store first.
const embeddedReady = 30 * time.Second

// startEmbedded starts a JetStream server in this process, on the loopback
// interface alone. Every write is synced to the disk before it is acknowledged.
func startEmbedded(dir string, port int, log *slog.Logger) (*server.Server, error) {
	if port == 0 {
		port = server.RANDOM_PORT
	}
	s, err := server.NewServer(&server.Options{
		ServerName: "roomwatch-embedded",
		Host:       "127.0.0.1",
		Port:       port,
		JetStream:  true,
		StoreDir:   filepath.Join(dir, "nats"),
		SyncAlways: true,
		NoSigs:     true, // signals are roomwatch's own
	})
	if err != nil {
		return nil, fmt.Errorf("start embedded nats-server: %w", err)
	}
	l := &natsLog{log: log, fatal: make(chan string, 1)}
	s.SetLoggerV2(l, false, false, false)
	s.Start()
	if err := l.ready(s); err != nil {
		s.Shutdown()
		return nil, fmt.Errorf("start embedded nats-server on 127.0.0.1:%d: %w; if another program has the port, set ROOMWATCH_NATS_PORT to a free one, or NATS_URL to use the server that runs there", port, err)
	}
	return s, nil
}

// natsLog gives the embedded server's lines to slog: errors as they are, the
// rest at debug.
type natsLog struct {
	log   *slog.Logger
	fatal chan string // the first reason why the server cannot go on
}

// ready waits until the server takes connections, or says why it never will.
func (l *natsLog) ready(s *server.Server) error {
	for end := time.Now().Add(embeddedReady); time.Now().Before(end); {
		select {
		case text := <-l.fatal:
			return errors.New(text)
		default:
		}
		if s.ReadyForConnections(50 * time.Millisecond) {
			return nil
		}
	}
	return fmt.Errorf("it took no connections within %s", embeddedReady)
}

func (l *natsLog) put(level slog.Level, format string, v []any) {
	l.log.Log(context.Background(), level, "nats-server", "text", strings.TrimSpace(fmt.Sprintf(format, v...)))
}

// Noticef implements the server's logger.
func (l *natsLog) Noticef(format string, v ...any) { l.put(slog.LevelDebug, format, v) }

// Warnf implements the server's logger.
func (l *natsLog) Warnf(format string, v ...any) { l.put(slog.LevelDebug, format, v) }

// Errorf implements the server's logger.
func (l *natsLog) Errorf(format string, v ...any) { l.put(slog.LevelError, format, v) }

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
