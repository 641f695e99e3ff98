package secret

import "testing"

// A secret is hidden as it is, in a URL and between quotes, also where another
// one is its beginning; short words are left alone.
func TestScrubber(t *testing.T) {
	s := NewScrubber("hush", "hush hush&more", `a"secret"`, "the", "")
	for said, want := range map[string]string{
		"401: hush":                 "401: [secret]",
		"x=hush hush&more.":         "x=[secret].",
		"?k=hush+hush%26more&b":     "?k=[secret]&b",
		"/hush%20hush&more/b":       "/[secret]/b",
		`{"k":"a\"secret\""}`:       `{"k":"[secret]"}`,
		"the other\nsays\x00 other": "the other says  other",
	} {
		if got := s.Line(said); got != want {
			t.Errorf("%q became %q, want %q", said, got, want)
		}
	}
}
