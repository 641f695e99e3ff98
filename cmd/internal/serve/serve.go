package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// How long a client may take.
const (
	HeaderTimeout = 5 * time.Second
	WriteTimeout  = 30 * time.Second // for an answer, and for each piece of an endless one
	IdleTimeout   = 2 * time.Minute
)

const (
	headerBytes  = 32 << 10
	closeTimeout = 2 * time.Second
)

// ReadOnly is what stands before all that a daemon serves.
func ReadOnly(h http.Handler) http.Handler { return secured(bodyless(readOnly(h))) }

// A Server answers requests.
type Server struct {
	Handler  http.Handler
	Patience time.Duration // how long a client may take nothing of an answer; 0: [WriteTimeout]
	Log      *slog.Logger
}

// Serve answers requests on l until ctx is done, and then returns nil. It closes
// l. No goroutine is left when it returns.
func (s Server) Serve(ctx context.Context, l net.Listener) error {
	var running sync.WaitGroup
	defer running.Wait()
	if s.Patience == 0 {
		s.Patience = WriteTimeout
	}
	srv := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			running.Add(1)
			defer running.Done()
			s.Handler.ServeHTTP(w, r)
		}),
		// So that what waits for something ends with ctx.
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ReadHeaderTimeout: HeaderTimeout, WriteTimeout: s.Patience, IdleTimeout: IdleTimeout, MaxHeaderBytes: headerBytes,
		ConnState: (&connections{open: make(map[net.Conn]time.Time)}).changed,
		ErrorLog:  slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug),
	}
	served := make(chan error, 1)
	running.Go(func() { served <- srv.Serve(l) })
	select {
	case err := <-served:
		return fmt.Errorf("serve http on %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	if err := srv.Shutdown(stop); err != nil {
		_ = srv.Close() // whoever still reads is cut off
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve http on %s: %w", l.Addr(), err)
	}
	return nil
}
