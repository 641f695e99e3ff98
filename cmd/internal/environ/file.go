package environ

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"
	"unicode/utf8"
)

// SetFromFile sets the variables of a file that are not set, as [Value] has it. A
// file with a problem sets nothing. Nothing of the file is in the error: it may be a secret.
func SetFromFile(path string) (err error) {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("%w; name a file that exists and that the program may read", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	vars, err := parseFile(f)
	var bad *lineError
	switch {
	case errors.As(err, &bad):
		return fmt.Errorf("%s:%d: %s", path, bad.line, bad.reason)
	case err != nil:
		return fmt.Errorf("%s: %w", path, err)
	}
	for name, value := range vars {
		if Value(name) != "" {
			continue
		}
		if err := os.Setenv(name, value); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return nil
}

// A lineError says which line of a file is none of its grammar, and why.
type lineError struct {
	line   int
	reason string
}

func (e *lineError) Error() string { return fmt.Sprintf("line %d: %s", e.line, e.reason) }

// parseFile reads the grammar of `docker run --env-file`, so that one file means
// the same to both. The value is all that follows the first = to the end of the
// line, as it stands: quotes, #, $, backslashes and spaces are part of it. Of a
// name that stands twice, the last value counts. A name alone means the variable
// of the environment, which it leaves as it is.
func parseFile(r io.Reader) (map[string]string, error) {
	vars := make(map[string]string)
	lines := bufio.NewScanner(r) // takes \r\n as the end of a line, too
	n := 0
	for lines.Scan() {
		n++
		b := lines.Bytes()
		if n == 1 {
			b = bytes.TrimPrefix(b, []byte("\ufeff"))
		}
		if !utf8.Valid(b) || bytes.IndexByte(b, 0) >= 0 {
			return nil, &lineError{n, "not text in UTF-8; save the file in that encoding"}
		}
		line := strings.TrimLeftFunc(string(b), unicode.IsSpace)
		if line == "" || line[0] == '#' {
			continue
		}
		name, value, given := strings.Cut(line, "=")
		switch {
		case name == "":
			return nil, &lineError{n, "no name before the =; write NAME=value"}
		case strings.ContainsFunc(name, unicode.IsSpace):
			return nil, &lineError{n, "white space in the name; write NAME=value, without export and without spaces around the ="}
		case given:
			vars[name] = value
		}
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		return nil, &lineError{n + 1, fmt.Sprintf("longer than %d bytes; write one NAME=value a line", bufio.MaxScanTokenSize)}
	} else if err != nil {
		return nil, err
	}
	return vars, nil
}
