package secret

import (
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Hidden stands where a secret was.
const Hidden = "[secret]"

const (
	// MaxLine is how long a line becomes, in bytes.
	MaxLine   = 500
	minLength = 4 // bytes; what is shorter is also in innocent words
)

var escape = regexp.MustCompile(`%[0-9A-F]{2}`)

// A Scrubber takes secrets out of text that came from elsewhere; the zero Scrubber
// knows none. It is safe for concurrent use.
type Scrubber struct{ r *strings.Replacer }

// NewScrubber returns a scrubber for secrets, as they are and as they are written
// in a URL or between quotes.
func NewScrubber(secrets ...string) Scrubber {
	var forms []string
	for _, s := range secrets {
		if len(s) < minLength {
			continue
		}
		quoted := strconv.Quote(s)
		forms = append(forms, s, quoted[1:len(quoted)-1])
		for _, escaped := range []string{url.QueryEscape(s), url.PathEscape(s)} {
			forms = append(forms, escaped, escape.ReplaceAllStringFunc(escaped, strings.ToLower))
		}
	}
	// Of two that begin at one place the replacer takes the first.
	slices.SortFunc(forms, func(a, b string) int { return len(b) - len(a) })
	var pairs []string
	for _, f := range forms {
		pairs = append(pairs, f, Hidden)
	}
	return Scrubber{strings.NewReplacer(pairs...)}
}

// IsZero reports whether it is one that nobody has made.
func (s Scrubber) IsZero() bool { return s.r == nil }

// Line makes text fit for a log: scrubbed, on one line, bounded.
func (s Scrubber) Line(text string) string {
	if !s.IsZero() {
		text = s.r.Replace(text)
	}
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, text)
	if len(text) > MaxLine {
		text = strings.ToValidUTF8(text[:MaxLine], "") + "…"
	}
	return text
}
