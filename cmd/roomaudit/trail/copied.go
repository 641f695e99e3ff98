package trail

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// NextCopy returns the oldest sealed file that is not on record as copied, and its
// last line. It returns false if there is none.
func (w *Writer) NextCopy(ctx context.Context) (f File, last Place, found bool, err error) {
	w.mu.Lock()
	copied := w.copied
	w.mu.Unlock()
	files, err := Files(w.o.Dir)
	if err != nil {
		return File{}, Place{}, false, fmt.Errorf("look for files to copy: %w", err)
	}
	for i, f := range files {
		if f.Number <= copied || i == len(files)-1 && !f.Compressed {
			continue
		}
		err := f.read(ctx, func(l Line, _ []byte) error {
			last = Place{l.Line, l.Hash}
			return nil
		})
		if errors.Is(err, os.ErrNotExist) {
			err = fmt.Errorf("%w; it was removed before it was copied", err)
		}
		return f, last, err == nil, err
	}
	return File{}, Place{}, false, nil
}

// RecordCopy puts on record that the command of the operator has taken a file. Power
// cut before that is on disk: the file is copied once more.
func (w *Writer) RecordCopy(now time.Time, f File, last Place) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.ready(now); err != nil {
		return err
	}
	if err := w.write([]Line{{Kind: Copied, File: f.Number, To: last.Line, Last: last.Hash}}); err != nil {
		return err
	}
	w.copied = f.Number
	return nil
}

// ended checks a line that says that a sealed file was copied, or removed with those
// before it, against the last line of that file, if it is here.
func (v *verifier) ended(f File, l Line, what string) error {
	if l.File >= f.Number {
		return v.fault("it says that file %d was %s, which was not sealed yet", l.File, what)
	}
	if last, ok := v.ends[l.File]; ok && last != (Place{l.To, l.Last}) {
		return v.fault("it says that file %d was %s with last line %d:%s, and that is line %d:%s", l.File, what, l.To, l.Last, last.Line, last.Hash)
	}
	return nil
}
