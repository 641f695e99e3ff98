package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"roomwatch/cmd/internal/program/programtest"
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

// Less than a day is refused: a file has a day at most.
func TestKeep(t *testing.T) {
	for value, ok := range map[string]bool{"0s": true, "24h": true, "23h59m": false, "-24h": false} {
		t.Setenv("ROOMAUDIT_KEEP", value)
		if _, err := configured(); (err == nil) != ok || err != nil && !strings.Contains(err.Error(), "ROOMAUDIT_KEEP") {
			t.Errorf("%s: %v", value, err)
		}
	}
}

// A file that takes longer to be sealed than NATS waits for an acknowledgement is refused.
func TestMaxFileBytes(t *testing.T) {
	for size, status := range map[int64]int{4095: 2, 4096: 0, maxFileBytes: 0, maxFileBytes + 1: 2} {
		t.Setenv("ROOMAUDIT_MAX_FILE_BYTES", fmt.Sprint(size))
		if _, err := configured(); (err != nil) != (status == 2) || err != nil && !strings.Contains(err.Error(), "ROOMAUDIT_MAX_FILE_BYTES") {
			t.Errorf("%d: %v", size, err)
		}
	}
}

// A misspelt variable is named, and a file of variables counts.
func TestVariables(t *testing.T) {
	env := filepath.Join(t.TempDir(), "env")
	if err := os.WriteFile(env, []byte("ROOMAUDIT_LOG_FORMAT=xml\nROOMAUDIT_DIRR=x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"ROOMAUDIT_LOG_FORMAT", "ROOMAUDIT_DIRR"} { // as they were, afterwards
		t.Setenv(name, "")
		_ = os.Unsetenv(name)
	}
	t.Setenv("ROOMAUDIT_PORT", "tcp://10.0.0.1:80")
	t.Setenv("ROOMAUDIT_ENV_FILE", env)
	var out, stderr bytes.Buffer
	status := run(t.Context(), []string{"run"}, &out, &stderr)
	if status != 2 || !strings.Contains(stderr.String(), "ROOMAUDIT_LOG_FORMAT is \"xml\"") || !strings.Contains(stderr.String(), "\nunknown variables, perhaps misspelt: ROOMAUDIT_DIRR\n") {
		t.Errorf("exit status %d:\n%s", status, &stderr)
	}
}

// The table of the README has each variable of roomaudit, with the default of the code.
func TestREADMEHasVariables(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	must(t, err)
	for _, f := range reflect.VisibleFields(reflect.TypeFor[config]()) {
		name := f.Tag.Get("envconfig")
		if !strings.HasPrefix(name, prefix) {
			continue
		}
		row := fmt.Sprintf("| `%s` | ", name)
		if value := f.Tag.Get("default"); value != "" {
			row += fmt.Sprintf("`%s` ", value)
		}
		if !strings.Contains(string(readme), "\n"+row+"| ") {
			t.Errorf("the README's table lacks %q", row)
		}
	}
}

func TestFlagsAreReadable(t *testing.T) { programtest.Flags(t, rootCommand()) }
