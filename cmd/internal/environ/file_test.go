package environ

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A value is what stands after the first =, byte by byte: a password has every
// character there is.
func TestFileValuesAreLiteral(t *testing.T) {
	tests := []struct {
		name, file string
		want       map[string]string
	}{
		{"hash", "K=p@ss#word\n", map[string]string{"K": "p@ss#word"}},
		{"hash after a space", "K=p@ss #word\n", map[string]string{"K": "p@ss #word"}},
		{"inner quotes", `K=a"b"c`, map[string]string{"K": `a"b"c`}},
		{"outer quotes", `K="a b"` + "\n" + `L='c'`, map[string]string{"K": `"a b"`, "L": "'c'"}},
		{"one quote", `K=it's "`, map[string]string{"K": `it's "`}},
		{"backslashes and dollars", `K=a\nb\$HOME${X}` + "`id`", map[string]string{"K": `a\nb\$HOME${X}` + "`id`"}},
		{"many =", "K==a=b==", map[string]string{"K": "=a=b=="}},
		{"many bytes a character", "K=пароль密码🔑é\u00a0", map[string]string{"K": "пароль密码🔑é\u00a0"}},
		{"spaces of the value", "K=  a \t", map[string]string{"K": "  a \t"}},
		{"spaces before the name", "  \tK=a", map[string]string{"K": "a"}},
		{"comments and empty lines", "# K=a\n\n   \n  #L=b\nM=c", map[string]string{"M": "c"}},
		{"line ends of Windows", "K=a\r\nL=b\r\n", map[string]string{"K": "a", "L": "b"}},
		{"byte order mark", "\ufeffK=a\n", map[string]string{"K": "a"}},
		{"byte order mark before a comment", "\ufeff# K\nL=b\n", map[string]string{"L": "b"}},
		{"no value", "K=\n", map[string]string{"K": ""}},
		{"a name alone", "K\nL=b\n", map[string]string{"L": "b"}},
		{"twice", "K=a\nK=b\n", map[string]string{"K": "b"}},
		{"nothing", "", map[string]string{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseFile(strings.NewReader(tt.file))
			if err != nil || !maps.Equal(got, tt.want) {
				t.Errorf("read %q, %v, want %q", got, err, tt.want)
			}
		})
	}
}

// What the grammar does not hold is refused with the number of its line, without
// a word of what stands there, and sets nothing.
func TestFileRefusals(t *testing.T) {
	tests := []struct{ name, line, want string }{
		{"export", "export K=hunter2", "white space in the name"},
		{"spaces around =", "K = hunter2", "white space in the name"},
		{"a sentence", "hunter2 hunter2", "white space in the name"},
		{"no-break space", "hunter2\u00a0=a", "white space in the name"},
		{"no name", "=hunter2", "no name"},
		{"half a character", "K=hunter2\xe5\xaf", "UTF-8"},
		{"Latin-1", "K=hunter2\xe9", "UTF-8"},
		{"zero byte", "K=hunter2\x00", "UTF-8"},
		{"too long", "K=" + strings.Repeat("hunter2", 10_000), "longer than 65536 bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("TOOL_GOOD", "")
			path := filepath.Join(t.TempDir(), "tool.env")
			if err := os.WriteFile(path, []byte("TOOL_GOOD=a\n\n"+tt.line+"\nL=b\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			err := SetFromFile(path)
			if err == nil || !strings.Contains(err.Error(), path+":3: ") || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want line 3 and %q", err, tt.want)
			} else if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("tells a secret: %v", err)
			}
			if v := os.Getenv("TOOL_GOOD"); v != "" {
				t.Errorf("a refused file set %q", v)
			}
		})
	}
}
