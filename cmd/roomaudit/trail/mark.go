package trail

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"time"
)

// A Mark tells a message from another that came to have its number: a stream
// that lost its newest messages gives their numbers again.
type Mark struct {
	Seq    uint64 // 0: there is no message
	Stored time.Time
}

// Newest returns the mark of the newest message on record that the present stream had.
func (w *Writer) Newest() Mark {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.end.newest
}

// Marks calls take with the messages on record that the present stream had: one
// file's at a time, in order, from the newest file back to where the stream was
// another, or until take returns false.
func (w *Writer) Marks(take func(marks []Mark) (more bool, err error)) error {
	files, err := Files(w.o.Dir)
	if err != nil {
		return err
	}
	at := w.Position()
	limit := at.Last // what is on record behind it was before the stream was cut
	for _, f := range slices.Backward(files) {
		marks, begin, err := f.marks(at, &limit)
		if errors.Is(err, os.ErrNotExist) {
			return nil // it was removed for its age meanwhile, as were those before it
		}
		if err != nil {
			return fmt.Errorf("%s: %w: %w; `roomaudit verify` says more", f.Path, ErrBroken, err)
		}
		if len(marks) > 0 {
			if more, err := take(marks); err != nil || !more {
				return err
			}
		}
		if !begin.same(at) {
			break
		}
	}
	return nil
}

// marks returns the marks of one file that are of the stream which stands at a
// position, up to limit, which it then lowers to that of the file before, and the
// position that the file begins at.
func (f File) marks(at Position, limit *uint64) (marks []Mark, begin Position, err error) {
	behind := func(last uint64) func(Mark) bool { return func(m Mark) bool { return m.Seq > last } }
	lowest, ours, row := *limit, false, 0
	err = f.lines(func(text []byte) error {
		l, err := Parse(text)
		if err != nil {
			return err
		}
		if row++; row == 1 && l.Stream != nil {
			begin = *l.Stream
		}
		switch {
		case l.Stream == nil && l.Seq > 0 && ours:
			marks = append(marks, Mark{l.Seq, l.Stored})
		case l.Stream == nil:
		case l.Stream.same(at):
			ours, lowest = true, min(lowest, l.Stream.Last)
			marks = slices.DeleteFunc(marks, behind(l.Stream.Last))
		default:
			ours, marks = false, nil
		}
		return nil
	})
	marks = slices.DeleteFunc(marks, behind(*limit))
	*limit = lowest
	if errors.Is(err, errTorn) {
		err = nil
	}
	return marks, begin, err
}

// same reports whether both are places in one stream.
func (p Position) same(q Position) bool { return p.Name == q.Name && p.Created.Equal(q.Created) }
