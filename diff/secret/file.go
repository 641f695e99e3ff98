// Package secret keeps what must not be shown: values in files that may be
// exchanged while a program runs, and a scrubber for text that came from
// elsewhere.
package secret

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
)

// A File is a value in one or more files that may be exchanged while the program
// runs. It is safe for concurrent use.
type File[T any] struct {
	name  string
	paths []string
	parse func(contents ...[]byte) (T, error)
	log   *slog.Logger

	mu    sync.Mutex
	value T
	sum   [sha256.Size]byte // of the contents that hold the value
	said  string            // the newest problem, so that it is logged once
}

// Open reads the value that parse finds in the contents of files. The name is
// that of the variable that names the files. No error of parse may have a part
// of the contents in it.
func Open[T any](name string, log *slog.Logger, parse func(contents ...[]byte) (T, error), paths ...string) (*File[T], error) {
	f := &File[T]{name: name, paths: paths, parse: parse, log: log}
	if _, err := f.read(); err != nil {
		return nil, err
	}
	return f, nil
}

// Value returns what the files hold now. It reads them each time: that a file has
// changed is told by nothing else for sure, for a new one may have the old one's
// size and time. What cannot be used is logged once, and the value before stays.
func (f *File[T]) Value() T {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.drained() {
		return f.value
	}
	ctx := context.Background()
	changed, err := f.read()
	switch {
	case err != nil && err.Error() != f.said:
		f.said = err.Error()
		f.log.WarnContext(ctx, "secret cannot be read", "variable", f.name, "error", err, "fix", "put the right value into the file; the one read before stays in use until then")
	case err == nil:
		f.said = ""
		if changed {
			f.log.InfoContext(ctx, "secret read again", "variable", f.name)
		}
	}
	return f.value
}

// drained reports whether one of the files is a pipe: it has given what it had,
// and who opens it again may wait for ever.
func (f *File[T]) drained() bool {
	for _, path := range f.paths {
		if i, err := os.Stat(path); err == nil && !i.Mode().IsRegular() {
			return true
		}
	}
	return false
}

// read takes the value of the files, if it can be used, and reports whether they
// are others than before.
func (f *File[T]) read() (changed bool, err error) {
	var contents [][]byte
	h := sha256.New()
	for _, path := range f.paths {
		b, err := Read(path)
		if err != nil {
			return false, err
		}
		contents = append(contents, b)
		_, _ = fmt.Fprintf(h, "%d ", len(b)) // a hash takes all
		_, _ = h.Write(b)
	}
	sum := [sha256.Size]byte(h.Sum(nil))
	if sum == f.sum {
		return false, nil
	}
	v, err := f.parse(contents...)
	if err != nil {
		return false, fmt.Errorf("%s: %w", strings.Join(f.paths, ", "), err)
	}
	f.value, f.sum = v, sum
	return true, nil
}

// Read is [os.ReadFile] for a text. It leaves out a byte order mark, which editors
// on Windows put at the start of a file and nobody sees: it is no part of a key.
// UTF-16, which some of them write, is refused: it would be a key that only the
// other side finds wrong.
func Read(path string) ([]byte, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if bytes.HasPrefix(b, []byte("\xff\xfe")) || bytes.HasPrefix(b, []byte("\xfe\xff")) || bytes.IndexByte(b, 0) >= 0 {
		return nil, fmt.Errorf("%s: it is saved as UTF-16 (\"Unicode\" in some editors) or is no text; save it as UTF-8", path)
	}
	return bytes.TrimPrefix(b, []byte("\ufeff")), nil
}

// Text returns the text of a file without the white space around it.
func Text(contents ...[]byte) (string, error) {
	t := strings.TrimSpace(string(contents[0]))
	if t == "" {
		return "", errors.New("it is empty")
	}
	return t, nil
}
