package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
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

// A file that takes longer to be sealed than NATS waits for an acknowledgement is refused.
func TestMaxFileBytes(t *testing.T) {
	for bytes, status := range map[int64]int{4095: 2, 4096: 0, maxFileBytes: 0, maxFileBytes + 1: 2} {
		t.Setenv("ROOMAUDIT_MAX_FILE_BYTES", fmt.Sprint(bytes))
		if _, err := configured(); (err != nil) != (status == 2) || err != nil && !strings.Contains(err.Error(), "ROOMAUDIT_MAX_FILE_BYTES") {
			t.Errorf("%d: %v", bytes, err)
		}
	}
}
