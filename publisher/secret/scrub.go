package secret

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
)

const (
	hidden    = "[secret]"
	minLength = 4   // bytes; what is shorter is also in innocent words
	maxLine   = 500 // bytes
)

// A Scrubber takes secrets out of text that came from elsewhere. It is safe for
// concurrent use.
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
		forms = append(forms, s, url.QueryEscape(s), url.PathEscape(s), quoted[1:len(quoted)-1])
	}
	// Of two that begin at one place the replacer takes the first.
	slices.SortFunc(forms, func(a, b string) int { return len(b) - len(a) })
	var pairs []string
	for _, f := range forms {
		pairs = append(pairs, f, hidden)
	}
	return Scrubber{strings.NewReplacer(pairs...)}
}

// Line makes text fit for a log: scrubbed, on one line, bounded.
func (s Scrubber) Line(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s.r.Replace(text))
	if len(text) > maxLine {
		text = strings.ToValidUTF8(text[:maxLine], "") + "…"
	}
	return text
}
