package program

import (
	"fmt"
	"io"
)

// A Checklist prints one line for each thing that a command tried: what it was, a
// verdict and the reason.
type Checklist struct {
	W      io.Writer
	Width  int // of the names of things
	failed bool
}

// Line reports that a thing is as it should be, or with an error, that it is not.
func (l *Checklist) Line(what string, err error, format string, args ...any) {
	verdict, text := "ok", fmt.Sprintf(format, args...)
	if err != nil {
		verdict, text, l.failed = "FAILED", err.Error(), true
	}
	l.print(what, verdict, text)
}

// Warn reports what is not wrong and should be looked at.
func (l *Checklist) Warn(what, format string, args ...any) {
	l.print(what, "WARN", fmt.Sprintf(format, args...))
}

func (l *Checklist) print(what, verdict, text string) {
	_, _ = fmt.Fprintf(l.W, "%-*s %-7s %s\n", l.Width, what, verdict, text)
}

// Err returns [ErrReported] if anything was not as it should be.
func (l *Checklist) Err() error {
	if l.failed {
		return ErrReported
	}
	return nil
}
