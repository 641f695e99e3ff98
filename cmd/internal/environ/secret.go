package environ

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
)

// ReadFile is [os.ReadFile] without a byte order mark, which editors on Windows
// put at the start of a file and nobody sees: it is no part of a key.
func ReadFile(path string) ([]byte, error) {
	b, err := os.ReadFile(path)
	return bytes.TrimPrefix(b, []byte("\ufeff")), err
}

// ReadSecret returns what is in a file, without the white space around it.
func ReadSecret(file string) (Secret, error) {
	b, err := ReadFile(file)
	if err != nil {
		return "", err
	}
	k := strings.TrimSpace(string(b))
	if k == "" {
		return "", fmt.Errorf("%s is empty", file)
	}
	return Secret(k), nil
}

// A SecretFile is a secret in a file that may be exchanged while the program runs.
type SecretFile struct {
	variable, path string
	check          func(Secret) error
	log            *slog.Logger

	mu    sync.Mutex
	value Secret
	said  string // the newest problem, so that it is logged once
}

// NewSecretFile returns the secret that is in the file which a variable names.
// check says whether a value can be used.
func NewSecretFile(variable, path string, check func(Secret) error, log *slog.Logger) (*SecretFile, error) {
	f := &SecretFile{variable: variable, path: path, check: check, log: log}
	v, err := f.read()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", variable, err)
	}
	f.value = v
	return f, nil
}

// Value returns what the file holds now. It reads the file each time: that it has
// changed is told by nothing else for sure, for a new file may have the old one's
// size and time. A value that cannot be used is logged, and the old one stays.
func (f *SecretFile) Value() Secret {
	f.mu.Lock()
	defer f.mu.Unlock()
	// A pipe has given what it had, and who opens it again may wait for ever.
	if i, err := os.Stat(f.path); err == nil && !i.Mode().IsRegular() {
		return f.value
	}
	ctx := context.Background()
	v, err := f.read()
	switch {
	case err != nil && err.Error() != f.said:
		f.said = err.Error()
		f.log.WarnContext(ctx, "secret", "variable", f.variable, "error", err, "mend", "put the right value into the file; the one read before stays in use until then")
	case err == nil:
		if v != f.value {
			f.log.InfoContext(ctx, "secret read again", "variable", f.variable)
		}
		f.value, f.said = v, ""
	}
	return f.value
}

func (f *SecretFile) read() (Secret, error) {
	v, err := ReadSecret(f.path)
	if err != nil {
		return "", err
	}
	return v, f.check(v)
}
