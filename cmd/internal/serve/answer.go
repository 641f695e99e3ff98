package serve

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
)

// A Problem is the body of every answer that is not a success.
type Problem struct {
	Error string `json:"error"` // what is wrong, why, and the fix
}

// Encode returns v as JSON, as it is shown.
func Encode(v any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil // unreachable: everything that is shown encodes
	}
	return b.Bytes()
}

// Answer writes v as JSON.
func Answer(w http.ResponseWriter, status int, v any) {
	b := Encode(v)
	if b == nil { // unreachable
		status = http.StatusInternalServerError
		b = []byte(`{"error":"the answer cannot be encoded"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(status)
	_, _ = w.Write(b) // the client is gone if this fails
}

// Refuse answers with what is wrong.
func Refuse(w http.ResponseWriter, status int, format string, args ...any) {
	Answer(w, status, Problem{Error: fmt.Sprintf(format, args...)})
}

// Healthz answers that the process is alive.
func Healthz(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = fmt.Fprintln(w, "ok")
}

// A Readiness is the answer of /readyz.
type Readiness struct {
	Ready    bool     `json:"ready"`
	Role     string   `json:"role,omitzero"`     // of one of several, in words
	Reasons  []string `json:"reasons,omitzero"`  // why not
	Warnings []string `json:"warnings,omitzero"` // what an operator should know although it is
}

// Readyz answers whether a daemon is ready: if there is no reason why not. It is for
// probes, which have no token: only who may read gets the details.
func (a Access) Readyz(state func() (role string, reasons, warnings []string)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		role, reasons, warnings := state()
		answer := Readiness{Ready: len(reasons) == 0}
		if a.MayRead(r) {
			answer.Role, answer.Reasons, answer.Warnings = role, append([]string{}, reasons...), append([]string{}, warnings...)
		}
		status := http.StatusOK
		if !answer.Ready {
			status = http.StatusServiceUnavailable
		}
		Answer(w, status, answer)
	}
}
