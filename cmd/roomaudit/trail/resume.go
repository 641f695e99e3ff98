package trail

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// resume finds where the trail ends and repairs what a crash has left.
func (w *Writer) resume() error {
	if err := w.tidy(); err != nil {
		return err
	}
	files, err := Files(w.o.Dir)
	if err != nil {
		return err
	}
	for len(files) > 0 {
		newest := files[len(files)-1]
		found, err := w.measure(newest)
		if err != nil {
			return err
		}
		if found {
			break
		}
		// It was begun and has not one whole line, so nothing in it was acknowledged.
		w.o.Log.Info("file without a line removed", "file", newest.Path)
		if err := w.disk.remove(newest.Path); err != nil {
			return err
		}
		files = files[:len(files)-1]
	}
	if err := w.identify(files); err != nil {
		return err
	}
	for _, f := range files[:max(0, len(files)-1)] {
		if !f.Compressed {
			w.packOrLeave(f.Path)
		}
	}
	if w.end.newest.Seq > 0 || w.end.position.Last == 0 {
		return nil
	}
	return w.Marks(func(marks []Mark) (bool, error) { // the newest file has no message yet
		w.end.newest = marks[len(marks)-1]
		return false, nil
	})
}

// tidy removes what a compression, or the making of an index, that was cut short has left.
func (w *Writer) tidy() error {
	entries, err := os.ReadDir(w.o.Dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		path := filepath.Join(w.o.Dir, e.Name())
		if base, ok := strings.CutSuffix(path, packed+unsafe); ok && fileName.MatchString(filepath.Base(base+packed)) {
			if err := w.disk.remove(path); err != nil {
				return err
			}
		}
		if strings.HasPrefix(e.Name(), "audit-") && strings.Contains(e.Name(), indexed+".") && strings.HasSuffix(e.Name(), unsafe) {
			if err := w.disk.remove(path); err != nil {
				return err
			}
		}
		base, ok := strings.CutSuffix(path, packed)
		if _, err := os.Stat(base + plain); ok && err == nil && fileName.MatchString(e.Name()) {
			if err := w.disk.remove(base + plain); err != nil {
				return err
			}
		}
	}
	return w.disk.syncDir(w.o.Dir)
}

// measure reads the newest file, and continues behind its last whole line. It
// returns false if there is none. What is wrong before the last line was not left
// by a crash; it is not touched.
func (w *Writer) measure(f File) (bool, error) {
	var size int64
	var last Line
	err := f.lines(func(text []byte) error {
		l, err := Parse(text)
		if err == nil && size == 0 && (l.Kind != Begin || l.Stream == nil || l.File != f.Number) {
			err = errors.New("it does not begin the file")
		}
		if err == nil && size > 0 && (l.Line != last.Line+1 || l.Previous != last.Hash) {
			err = errors.New("it does not follow the line before")
		}
		if err != nil {
			return fmt.Errorf("%s: %w after %d bytes: %w; `roomaudit verify` says more. If the machine lost its power just before, cut the file there with "+
				"`truncate`: what is lost is read from the stream again. Otherwise keep the directory as evidence and set another ROOMAUDIT_DIR", f.Path, ErrBroken, size, err)
		}
		if size == 0 {
			w.trail, w.end.begun = l.Trail, l.Line
		}
		w.end.follow(l)
		if l.Kind == Copied { // behind its beginning, at which the label was written
			w.copied = l.File
		}
		size += int64(len(text)) + 1
		last = l
		return nil
	})
	torn := errors.Is(err, errTorn)
	var disk *os.PathError
	switch {
	case err == nil || torn:
	case errors.Is(err, ErrBroken) || errors.As(err, &disk):
		return false, err
	default:
		return false, fmt.Errorf("%s: %w: %w; `roomaudit verify` says more. Put it back from a copy, or keep the directory as evidence and set another ROOMAUDIT_DIR", f.Path, ErrBroken, err)
	}
	if size == 0 && !f.Compressed {
		w.current = current{end: chain{hash: noHash}}
		return false, nil
	}
	if f.Compressed && (torn || last.Kind != End) {
		return false, fmt.Errorf("%s: %w: it is compressed and has no end; `roomaudit verify` says more", f.Path, ErrBroken)
	}
	w.number, w.day, w.path, w.size = f.Number, f.Day, f.Path, size
	if last.Kind == End {
		if !f.Compressed {
			w.packOrLeave(f.Path)
		}
		return true, nil
	}
	if torn {
		w.o.Log.Warn("a truncated line is cut off", "file", f.Path, "line", last.Line+1, "fix", "none is needed: it was not acknowledged and is read again")
	}
	if w.file, err = w.disk.open(f.Path, size); err == nil {
		err = w.disk.sync(w.file)
	}
	return true, err
}

// follow moves the chain behind a line that was read.
func (c *chain) follow(l Line) {
	c.line, c.hash = l.Line, l.Hash
	switch {
	case l.Stream != nil:
		if !l.Stream.same(c.position) || c.newest.Seq > l.Stream.Last {
			c.newest = Mark{}
		}
		c.position = *l.Stream
	case l.Kind == Gap:
		c.position.Last = l.To
	case l.Seq > 0:
		c.position.Last, c.newest = l.Seq, Mark{l.Seq, l.Stored}
	}
}
