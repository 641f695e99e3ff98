package web

import (
	"net/http"

	"roomwatch/cmd/internal/serve"
)

// The roles of a process.
const (
	RoleStarting = "starting" // it does not know yet
	RoleWriter   = "writer"
	RoleStandby  = "standby"
)

// A Writer is who has claimed to be the writer of the application.
type Writer struct {
	Instance string `json:"instance"` // of one process
	Host     string `json:"host"`
	Version  string `json:"version"`
	Since    Time   `json:"since"`
	Term     uint64 `json:"term"` // 0: it has no lease
	Self     bool   `json:"self"` // it is the process that answers
}

// A Lease decides who is the writer.
type Lease struct {
	Duration  float64   `json:"duration_seconds"`
	Term      uint64    `json:"term"`
	Held      bool      `json:"held"` // by the process that answers
	Since     Time      `json:"since"`
	Standbys  []Standby `json:"standbys"` // as the holder knows them; empty for others
	LastError *Lasting  `json:"last_error"`
}

// A Standby is another process that waits for the lease.
type Standby struct {
	Instance string `json:"instance"`
	Host     string `json:"host"`
	Version  string `json:"version"`
	Since    string `json:"since"`  // by its own clock
	Behind   uint64 `json:"behind"` // messages of the stream that it had still to read
	CaughtUp bool   `json:"caught_up"`
}

// A Following is how far a standby has come.
type Following struct {
	Since    Time   `json:"since"`
	CaughtUp bool   `json:"caught_up"`
	Behind   uint64 `json:"behind"` // messages of the stream that it has still to read
	Newest   Time   `json:"newest"` // of the newest event that it has taken over; null before the first
}

// ofWriter answers for the writer alone: another process says who that is.
func (s *Server) ofWriter(h http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		st := s.c.Status()
		if st.Role == RoleWriter || st.Role == "" {
			h(w, r)
			return
		}
		w.Header().Set("Retry-After", "5")
		serve.Refuse(w, http.StatusServiceUnavailable, "this roomwatch is not the writer: ask that one; its role: %s", roleInUTC(st))
	})
}
