package trail

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// ready sees to it that a file is open to which can be appended at a time by the
// clock of the recorder. A clock that is set back ends a day, too: what counts is
// that no file is left open for days.
func (w *Writer) ready(now time.Time) error {
	if err := w.attached(); err != nil {
		return err
	}
	if err := w.undamage(); err != nil {
		return err
	}
	if w.file != nil && (w.size >= w.o.MaxFileBytes || day(now) != w.day) {
		if err := w.seal(); err != nil {
			return err
		}
	}
	if w.file == nil {
		if err := w.begin(now); err != nil {
			return err
		}
	}
	if err := w.explain(); err != nil {
		return err
	}
	if w.labelled != w.number {
		return w.label()
	}
	return nil
}

// explain puts on record, in a file that is open, what is missing before its next line.
func (w *Writer) explain() error {
	if w.reason == "" {
		return nil
	}
	position := w.end.position
	if err := w.write([]Line{{Kind: Stream, Stream: &position, Reason: w.reason}}); err != nil {
		return err
	}
	w.reason = ""
	return nil
}

// undamage cuts off what a write that was not acknowledged has left.
func (w *Writer) undamage() error {
	if !w.damaged {
		return nil
	}
	if err := w.disk.cut(w.file, w.size); err != nil {
		return fmt.Errorf("cut %s after %d bytes: %w", w.path, w.size, err)
	}
	w.damaged = false
	return nil
}

// attached makes sure that the open file still has its name: what is written to
// one that was removed or exchanged is acknowledged and lost.
func (w *Writer) attached() error {
	if w.file == nil {
		return nil
	}
	open, err := w.file.Stat()
	if err != nil {
		return fmt.Errorf("look at %s: %w", w.path, err)
	}
	named, err := os.Stat(w.path)
	switch {
	case err == nil && os.SameFile(open, named):
		return nil
	case err == nil || errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("%s: %w: it was removed or exchanged while it was written; find out by whom and put it back; if it is lost, start again: the next start "+
			"says how to continue", w.path, ErrBroken)
	}
	return fmt.Errorf("look at %s: %w", w.path, err)
}

// begin opens the next file. Its name is durable before its first line is.
func (w *Writer) begin(now time.Time) error {
	number, day := w.number+1, day(now)
	path := filepath.Join(w.o.Dir, nameOf(number, day)+plain)
	f, err := w.disk.open(path, 0)
	if err == nil {
		err = w.disk.syncDir(w.o.Dir)
	}
	if err != nil {
		return fmt.Errorf("begin %s: %w", path, errors.Join(err, w.drop(f)))
	}
	before := w.current
	w.file, w.path, w.number, w.day, w.size = f, path, number, day, 0
	w.end.begun = w.end.line + 1
	position := w.end.position
	if err := w.write([]Line{{Kind: Begin, Format: format, Trail: w.trail, File: number, Stream: &position, Reason: w.reason}}); err != nil {
		w.current = before
		return errors.Join(err, w.drop(f))
	}
	w.reason = ""
	return nil
}

// drop removes a file in which nothing was acknowledged. If that cannot be done,
// it is begun anew, or removed by the next Open.
func (w *Writer) drop(f *os.File) error {
	if f == nil {
		return nil
	}
	return errors.Join(f.Close(), w.disk.remove(f.Name()))
}
