package environ

import (
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
