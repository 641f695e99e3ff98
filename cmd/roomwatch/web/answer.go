package web

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"
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
type Problem struct {
	Error string `json:"error"` // what is wrong, why, and what mends it
}

// answer writes v as JSON.
func answer(w http.ResponseWriter, status int, v any) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil { // unreachable: everything that is shown encodes
		status = http.StatusInternalServerError
		b.Reset()
		b.WriteString(`{"error":"the answer cannot be encoded"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(b.Len()))
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // the client is gone if this fails
}

// refuse answers with what is wrong.
func refuse(w http.ResponseWriter, status int, format string, args ...any) {
	answer(w, status, Problem{Error: fmt.Sprintf(format, args...)})
}
