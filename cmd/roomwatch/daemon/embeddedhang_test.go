//go:build unix

package daemon

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"roomwatch/publisher/natstest"
)

// While the server reads its store, and the disk hangs, what asks for it is
// answered, and a stop ends the start.
func TestEmbeddedServerHangsAtItsStart(t *testing.T) {
	dir := t.TempDir()
	e, err := startEmbedded(t.Context(), dir, 0, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	e.stop(t.Context())
	meta := filepath.Join(dir, "nats", "jetstream", "$G", "streams", "LIVE")
	if err := os.MkdirAll(meta, 0o700); err != nil {
		t.Fatal(err)
	}
	pipe := filepath.Join(meta, "meta.inf") // a read of it waits for a writer
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(meta, "meta.sum"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- e.start(ctx) }()
	disk, err := os.OpenFile(pipe, os.O_WRONLY, 0) // returns when the server reads
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = disk.Close() }()
	asked := make(chan error, 1)
	go func() {
		e.url()
		_, err := e.InProcessConn()
		asked <- err
	}()
	select {
	case err := <-asked:
		if err == nil {
			t.Error("a server that does not run takes a connection")
		}
	case <-time.After(10 * time.Second):
		t.Error("what asks for the server waits for its start")
	}
	cancel()
	select {
	case err := <-ended:
		if err == nil {
			t.Error("it started")
		}
	case <-time.After(10 * time.Second):
		t.Error("a stop waits for the start")
	}
}

// A server whose disk hangs does not hold up the end of the process.
func TestEmbeddedServerHangsAtItsStop(t *testing.T) {
	dir := t.TempDir()
	e, err := startEmbedded(t.Context(), dir, 0, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	nc, err := nats.Connect("", nats.InProcessServer(e))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js := natstest.Live(t, nc)
	if _, err := js.Publish(t.Context(), "live.x", nil); err != nil {
		t.Fatal(err)
	}
	pipe := filepath.Join(dir, "nats", "jetstream", "$G", "streams", "LIVE", "msgs", "index.db") // a write to it waits for a reader
	if err := os.Remove(pipe); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	began, ended := time.Now(), make(chan struct{})
	go func() {
		defer close(ended)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		e.stop(ctx)
	}()
	select {
	case <-ended:
		if time.Since(began) < embeddedGrace {
			t.Fatal("the disk does not hang")
		}
	case <-time.After(2 * embeddedGrace):
		t.Error("it waits for the server")
	}
	disk, err := os.Open(pipe) // returns when the server writes
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = disk.Close() }()
	if _, err := io.Copy(io.Discard, disk); err != nil {
		t.Error(err)
	}
	<-ended
}
