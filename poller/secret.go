package poller

import (
	"errors"
	"net/url"
	"regexp"
	"strings"
)

const (
	hidden  = "[secret]"
	maxLine = 500 // bytes
)

// sigParameter finds a signature in the echo of a request URL, even one that is cut short.
var sigParameter = regexp.MustCompile(`(?i)usersig=[^&\s"'<>]*`)

// A scrubber takes secrets out of text that came from elsewhere.
type scrubber struct{ r *strings.Replacer }

// newScrubber returns a scrubber for the secrets, as they are and as they are
// written in a URL.
func newScrubber(secrets ...string) scrubber {
	var pairs []string
	for _, s := range secrets {
		if s == "" {
			continue
		}
		escaped := url.QueryEscape(s)
		pairs = append(pairs, s, hidden, escaped, hidden, strings.ReplaceAll(escaped, "%2A", "%2a"), hidden)
	}
	return scrubber{strings.NewReplacer(pairs...)}
}

func (s scrubber) text(t string) string {
	return sigParameter.ReplaceAllString(s.r.Replace(t), "usersig="+hidden)
}

// err returns e fit for a log. The parts of an [*APIError] are cleaned; any
// other error is replaced by what remains of its text if that is not the whole,
// because whatever it wraps would hold the secret too.
func (s scrubber) err(e error) error {
	if api, ok := errors.AsType[*APIError](e); ok {
		api.Info, api.RequestID, api.Advice = s.line(api.Info), s.line(api.RequestID), s.line(api.Advice)
		return api
	}
	old := e.Error()
	if t := s.line(old); t != old {
		return errors.New(t)
	}
	return e
}

// line makes text of the service fit for a log: scrubbed, on one line, bounded.
func (s scrubber) line(t string) string {
	t = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s.text(t))
	if len(t) > maxLine {
		t = strings.ToValidUTF8(t[:maxLine], "") + "…"
	}
	return t
}
