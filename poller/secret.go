package poller

import (
	"errors"
	"regexp"

	"roomwatch/diff/secret"
)

// sigParameter finds a signature in the echo of a request URL, even one that is cut short.
var sigParameter = regexp.MustCompile(`(?i)usersig=[^&\s"'<>]*`)

// A scrubber takes secrets out of what the service says.
type scrubber struct{ secret.Scrubber }

func newScrubber(secrets ...string) scrubber { return scrubber{secret.NewScrubber(secrets...)} }

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

// line makes text of the service fit for a log.
func (s scrubber) line(t string) string {
	return s.Line(sigParameter.ReplaceAllString(t, "usersig="+secret.Hidden))
}
