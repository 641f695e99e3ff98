package web

import (
	"net/http"

	"roomwatch/cmd/internal/serve"
)

// The healths of a daemon and the levels of what is wrong with it.
const (
	OK       = "ok"
	Degraded = "degraded" // it does what it is for, but somebody should look
	Failing  = "failing"  // it does not: not ready
)

// A Status is the answer of /api/v1/status.
type Status struct {
	Version      string           `json:"version"`
	Started      Time             `json:"started"`
	Now          Time             `json:"now"`
	Role         string           `json:"role"`    // RoleWriter, RoleStandby or RoleStarting
	Writer       *Writer          `json:"writer"`  // who has claimed last; null: that is not known
	Lease        *Lease           `json:"lease"`   // null: there is none
	Standby      *Following       `json:"standby"` // null: the process does not stand by
	Health       string           `json:"health"`
	Conditions   []Condition      `json:"conditions"`
	Application  Application      `json:"application"`
	Sweep        *Sweep           `json:"sweep"`         // the one in progress
	LastComplete *CompleteSweep   `json:"last_complete"` //
	LastFailure  *Failure         `json:"last_failure"`  // of the newest sweep that was not complete
	Rooms        RoomCount        `json:"rooms"`
	Absence      Absence          `json:"absence"`
	News         News             `json:"news"`
	Probes       *Probes          `json:"probes"` // null: none are made
	Outbox       Outbox           `json:"outbox"`
	NATS         NATS             `json:"nats"`
	Callbacks    *Callbacks       `json:"callbacks"` // null: they are not received
	Events       map[string]int64 `json:"events"`    // stored since the start of the process, by type
}

// A Condition is something that is not as it should be.
type Condition struct {
	Level string `json:"level"` // Degraded or Failing
	About string `json:"about"` // source, reads, state, sweep, nats, stream, outbox, history, clock, guard, callbacks, bucket, pulse, lease or standby
	Text  string `json:"text"`  // what is wrong, in words
	Fix   string `json:"fix"`   // what to do; may be empty
}

// An Application is what is watched.
type Application struct {
	SDKAppID int    `json:"sdkappid"`
	Endpoint string `json:"endpoint"`
}

// A Sweep is the reading of the list that is going on.
type Sweep struct {
	Number   uint64 `json:"number"`
	Began    Time   `json:"began"`
	Pages    int    `json:"pages"`
	Rooms    int    `json:"rooms"`
	Requests int    `json:"requests"`
	Retries  int    `json:"retries"`
}

// A CompleteSweep is the newest one that reached the end of the list.
type CompleteSweep struct {
	Began      Time    `json:"began"`
	Ended      Time    `json:"ended"`
	Duration   float64 `json:"duration_seconds"`
	Pages      int     `json:"pages"`
	Rooms      int     `json:"rooms"`
	Requests   int     `json:"requests"`
	Retries    int     `json:"retries"`
	Duplicates int     `json:"duplicates"` // rows that showed a room for the second time
}

// A Failure is what went wrong and when.
type Failure struct {
	At   Time   `json:"at"`
	Text string `json:"text"`
}

// A RoomCount says how many rooms are known to be live, how many of them the
// newest complete sweeps did not show, and how many the list does not show, as
// point reads told.
type RoomCount struct {
	Known   uint64 `json:"known"`
	Missing uint64 `json:"missing"`
	Hidden  uint64 `json:"hidden"`
}

// Callbacks are what the vendor's server has called of since the start.
type Callbacks struct {
	Last    Time   `json:"last"`
	Taken   uint64 `json:"taken"`
	Refused uint64 `json:"refused"`
}

// Absence is how absences are judged at present.
type Absence struct {
	MissRate float64  `json:"miss_rate"` // how likely a sweep is to miss a room that is live
	Recall   *float64 `json:"recall"`    // measured: what share of the live rooms a sweep shows; null before the first complete sweep
	Guard    Guard    `json:"guard"`
}

// A Guard keeps many rooms from ending at once.
type Guard struct {
	Active bool `json:"active"` // ends are held back, of sweeps or of reads
	Held   int  `json:"held"`   // ends that point reads have proved and that are held back
	Agree  int  `json:"agree"`  // complete sweeps in a row that missed most rooms
	Needed int  `json:"needed"` // as many have to agree before that is believed
}

// News says how old the news of the last hour was when it was seen.
type News struct {
	Created NewsAge `json:"created"` // since the CreateTime of the rooms, which is in whole seconds
	Ended   NewsAge `json:"ended"`   // since the rooms were last seen live
}

// A NewsAge is the age of one kind of news.
type NewsAge struct {
	Events uint64  `json:"events"`         // of the last hour
	Median float64 `json:"median_seconds"` // half of them were not older; 0 if there were none
	P95    float64 `json:"p95_seconds"`    // nor were 95 of 100; at most ten minutes
}

// Probes are what is read of the list beside the sweeps, where new rooms were found before.
type Probes struct {
	Places int    `json:"places"` // of the list that are known and can be read again
	Made   uint64 `json:"made"`   // probes of the last hour, answered or not
	Found  uint64 `json:"found"`  // rooms that nobody knew and that they have shown
}

// An Outbox is what waits for the stream.
type Outbox struct {
	Depth    uint64 `json:"depth"`
	Oldest   Time   `json:"oldest"` // when the oldest event that waits was seen
	Epoch    string `json:"epoch"`
	Assigned uint64 `json:"assigned"` // the last sequence number given to an event
	Stored   uint64 `json:"stored"`   // the last one known to be in the stream
}

// NATS is where the events go.
type NATS struct {
	Connected bool     `json:"connected"`
	Server    string   `json:"server"` // empty while there is no connection
	Stream    string   `json:"stream"`
	Prefix    string   `json:"prefix"`
	Batches   bool     `json:"batches"`
	Claim     uint64   `json:"claim"` // stream sequence of the newest claim; 0 for none
	LastError *Lasting `json:"last_error"`
	Bucket    *Bucket  `json:"bucket"` // nil: none is configured
	Pulse     Time     `json:"pulse"`  // when this process has told last that it watches; null: not yet
}

// A Bucket is the key-value bucket that NATS fills from the stream.
type Bucket struct {
	Name      string   `json:"name"`
	LastError *Lasting `json:"last_error"` // why it does not follow the stream; nil if it does
}

// A Lasting error is one that is still there.
type Lasting struct {
	Since Time   `json:"since"`
	Text  string `json:"text"`
}

// Readiness is the answer of /readyz.
type Readiness = serve.Readiness

// readiness says what the process is, why it is not ready, and what else is wrong.
func (s *Server) readiness() (role string, reasons, warnings []string) {
	st := s.c.Status()
	for _, c := range st.Conditions {
		text := c.Text
		if c.Fix != "" {
			text += "; " + c.Fix
		}
		if c.Level == Failing {
			reasons = append(reasons, text)
		} else {
			warnings = append(warnings, text)
		}
	}
	return roleInUTC(st), reasons, warnings
}

func (s *Server) status(w http.ResponseWriter, _ *http.Request) {
	serve.Answer(w, http.StatusOK, s.c.Status())
}
