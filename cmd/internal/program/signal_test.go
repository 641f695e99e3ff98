//go:build unix

package program

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain is also the program that the tests send signals to: it stops slowly.
func TestMain(m *testing.M) {
	if os.Getenv("ROOMWATCH_TEST_PROGRAM") == "" {
		os.Exit(m.Run())
	}
	Main(func(ctx context.Context, _ []string, stdout, stderr io.Writer) int {
		log := slog.New(slog.NewTextHandler(stderr, nil))
		defer Survive(ctx, log)()
		_, _ = fmt.Fprintln(stdout, "runs")
		<-ctx.Done()
		_, _ = fmt.Fprintln(stdout, "stops")
		_, _ = io.Copy(io.Discard, os.Stdin) // the stop lasts until its input is closed
		return 0
	})
}

// A slow is a program that ends when its input does, once it was asked to stop.
type slow struct {
	*exec.Cmd
	in   io.Closer
	said *bufio.Scanner
}

func startSlow(t *testing.T, stderr io.Writer) slow {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	c := exec.CommandContext(ctx, os.Args[0])
	c.Env = append(os.Environ(), "ROOMWATCH_TEST_PROGRAM=1")
	c.Stderr = stderr
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	s := slow{c, in, bufio.NewScanner(out)}
	s.expect(t, "runs")
	return s
}

func (s slow) expect(t *testing.T, line string) {
	t.Helper()
	if !s.said.Scan() || s.said.Text() != line {
		t.Fatalf("it says %q, want %q", s.said.Text(), line)
	}
}

func (s slow) signal(t *testing.T, sig os.Signal) {
	t.Helper()
	if err := s.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
}

func (s slow) status(t *testing.T) int {
	t.Helper()
	_ = s.Wait() // the state tells how it ended
	return s.ProcessState.ExitCode()
}

// The second signal does not wait for what the first one began.
func TestSecondSignalEndsAtOnce(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		s := startSlow(t, io.Discard)
		s.signal(t, sig)
		s.expect(t, "stops")
		s.signal(t, sig)
		if status, want := s.status(t), 128+int(sig); status != want {
			t.Errorf("exit status %d after the second %s, want %d", status, sig, want)
		}
	}
}

// A terminal that closes is a line in the log and ends nothing.
func TestHangupIsLogged(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	s := startSlow(t, w)
	_ = w.Close()
	s.signal(t, syscall.SIGHUP)
	log := bufio.NewScanner(r)
	if !log.Scan() || !strings.Contains(log.Text(), "SIGHUP") {
		t.Errorf("the log has %q after SIGHUP", log.Text())
	}
	s.signal(t, syscall.SIGTERM)
	s.expect(t, "stops")
	_ = s.in.Close()
	if status := s.status(t); status != 0 {
		t.Errorf("exit status %d", status)
	}
}

// A log that nobody reads any more ends nothing.
func TestReaderOfTheLogGone(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	s := startSlow(t, w)
	_, _ = r.Close(), w.Close()
	s.signal(t, syscall.SIGHUP) // a line for the log
	s.signal(t, syscall.SIGTERM)
	s.expect(t, "stops")
	_ = s.in.Close()
	if status := s.status(t); status != 0 {
		t.Errorf("exit status %d", status)
	}
}
