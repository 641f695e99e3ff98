package main

import (
	"os"
	"path/filepath"
	"testing"
)

// A byte order mark at the start of a key file is no part of the key.
func TestKeyWithByteOrderMark(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(path, []byte("\ufeff-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if der, err := readPEM(path); err != nil || len(der) != 3 {
		t.Errorf("read %x, %v", der, err)
	}
}
