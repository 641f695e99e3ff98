package environ

import (
	"io"
	"log/slog"
	"sync"
	"time"
)

const (
	// mostWaiting is how much of a log may wait for its reader, in bytes.
	mostWaiting = 1 << 20
	// flushWithin is how long the end of a program waits for the reader of its log.
	flushWithin = 2 * time.Second
)

// Unblocked returns a logger for a daemon: where nobody reads what is written to
// w, lines wait, and what does not fit is lost, but whoever logs continues. When w
// takes lines again, one of them says how many were lost. The function writes
// what still waits, for at most two seconds; lines after it are lost.
func Unblocked(logger func(io.Writer) *slog.Logger, w io.Writer) (log *slog.Logger, flush func()) {
	b := &backlog{wake: make(chan struct{}, 1), written: make(chan struct{})}
	go b.write(w, logger(w))
	return logger(b), b.flush
}

// A backlog holds the lines that wait for their writer.
type backlog struct {
	wake    chan struct{} // there is something to do
	written chan struct{} // closed by the writer after its last line

	mu    sync.Mutex // never held while something is written
	lines [][]byte
	size  int // of lines, in bytes
	lost  int // lines that came after lines and did not fit
	ended bool
}

// Write takes one line. It never blocks and never fails.
func (b *backlog) Write(line []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	defer b.stir()
	// Once a line is lost all are, until the writer has said so: the order stays.
	if b.lost > 0 || b.ended || b.size+len(line) > mostWaiting {
		b.lost++
		return len(line), nil
	}
	b.lines = append(b.lines, append([]byte(nil), line...))
	b.size += len(line)
	return len(line), nil
}

// stir wakes the writer.
func (b *backlog) stir() {
	select {
	case b.wake <- struct{}{}:
	default: // it is awake
	}
}

// write is the writer. Errors of w have no place where they could be told.
func (b *backlog) write(w io.Writer, own *slog.Logger) {
	defer close(b.written)
	for {
		<-b.wake
		b.mu.Lock()
		lines, lost, ended := b.lines, b.lost, b.ended
		b.lines, b.size, b.lost = nil, 0, 0
		b.mu.Unlock()
		for _, line := range lines {
			_, _ = w.Write(line)
		}
		if lost > 0 {
			own.Error("log lines lost", "lines", lost, "reason", "the reader of the log was blocked")
		}
		if ended {
			return
		}
	}
}

// flush is called once.
func (b *backlog) flush() {
	b.mu.Lock()
	b.ended = true
	b.mu.Unlock()
	b.stir()
	select {
	case <-b.written:
	case <-time.After(flushWithin):
	}
}
