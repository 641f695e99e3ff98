package environ

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A byte order mark is no part of a secret, and a file of nothing else is empty.
func TestSecretWithByteOrderMark(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	for content, want := range map[string]string{"\ufeffhush\r\n": "hush", "hush": "hush", "\ufeff \n": "", "\ufeff": ""} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := ReadSecret(path)
		if string(got) != want || (want == "") != (err != nil && strings.Contains(err.Error(), "is empty")) {
			t.Errorf("%q: read %q, %v, want %q", content, string(got), err, want)
		}
	}
}

// A file in UTF-16, with a mark or without, is named with the reason, at the start
// and when it takes the place of a good one, which stays in use.
func TestSecretInUTF16(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	for _, content := range []string{"\xff\xfeh\x00u\x00s\x00h\x00", "\xfe\xff\x00h\x00u\x00s\x00h", "h\x00u\x00s\x00h\x00", "\x00h\x00u\x00s\x00h", "\xff\xfe"} {
		put := func(content string) {
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		wanted := path + ": it is saved as UTF-16"
		put(content)
		if got, err := ReadSecret(path); err == nil || !strings.HasPrefix(err.Error(), wanted) || !strings.Contains(err.Error(), "save it as UTF-8") {
			t.Errorf("%q: read %q, %v", content, string(got), err)
		}
		put("hush")
		var log bytes.Buffer
		f, err := NewSecretFile("TOOL_KEY_FILE", path, func(Secret) error { return nil }, slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		put(content)
		if got := string(f.Value()); got != "hush" || !strings.Contains(log.String(), wanted) {
			t.Errorf("%q: the secret became %q, logged %q", content, got, &log)
		}
	}
}

// A file that is exchanged is read before the next use. What cannot be used is
// named once, without its value, and the secret before stays.
func TestSecretFileIsReadAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	put := func(content string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("one")
	var log bytes.Buffer
	f, err := NewSecretFile("TOOL_KEY_FILE", path, func(s Secret) error {
		if strings.Contains(string(s), " ") {
			return errors.New("it has spaces")
		}
		return nil
	}, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	want := func(secret, line string) {
		t.Helper()
		log.Reset()
		for range 3 {
			if got := string(f.Value()); got != secret {
				t.Errorf("the secret is %q, want %q", got, secret)
			}
		}
		if n := strings.Count(log.String(), "\n"); !strings.Contains(log.String(), line) || n > 1 || (line == "") != (n == 0) {
			t.Errorf("logged %q, want one line with %q", &log, line)
		}
		if strings.Contains(log.String(), "two") || strings.Contains(log.String(), "hush") {
			t.Errorf("tells a secret: %s", &log)
		}
	}
	want("one", "")
	put("two") // as long, and perhaps as old, as the one before
	want("two", "read again")
	put("")
	want("two", "is empty")
	put("hush hush")
	want("two", "it has spaces")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	want("two", "no such file")
	put("two")
	want("two", "")
	put("three")
	want("three", "read again")
}
