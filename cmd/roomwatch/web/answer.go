package web

import (
	"strconv"
	"time"

	"roomwatch/cmd/internal/serve"
)

// A Time is written as RFC 3339 in UTC with milliseconds; the zero Time as null.
type Time struct{ time.Time }

const timeLayout = "2006-01-02T15:04:05.000Z"

// MarshalJSON implements [json.Marshaler].
func (t Time) MarshalJSON() ([]byte, error) {
	if t.IsZero() {
		return []byte("null"), nil
	}
	return strconv.AppendQuote(nil, t.UTC().Format(timeLayout)), nil
}

// A Problem is the body of every answer that is not a success.
type Problem = serve.Problem
