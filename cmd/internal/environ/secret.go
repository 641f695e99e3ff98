package environ

import (
	"bytes"
	"fmt"
	"os"
	"strings"
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
