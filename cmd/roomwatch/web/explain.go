package web

import (
	"net/http"

	"roomwatch/cmd/internal/serve"
)

const explainPath = "/api/v1/explain"

// What an [Explanation] says of its room.
const (
	StateLive    = "live"
	StateHidden  = "hidden" // it lives, and the list does not show it
	StateEnded   = "ended"
	StateUnknown = "unknown" // not known to be live, and no end of it is remembered
)

// An Explanation is what is known of one RoomID, by which evidence, and what its end waits for.
type Explanation struct {
	RoomID    string   `json:"RoomId"`
	Now       Time     `json:"now"`
	State     string   `json:"state"`
	Sentences []string `json:"sentences"` // all that follows, in words; times are UTC

	Room     *Room         `json:"room"`     // null: it is not known to be live
	Told     *int64        `json:"told"`     // the ViewCount that its last event has told; null as room
	Listed   *Listed       `json:"listed"`   // the newest sweep that has shown it since the start; null: none has
	End      *End          `json:"end"`      // its newest end; null: none is remembered
	Absence  *RoomAbsence  `json:"absence"`  // how sweeps end it; null as room
	Reads    *RoomReads    `json:"reads"`    // null: there are no point reads
	Callback *RoomCallback `json:"callback"` // of the last minute; null: there was none
}

// A Listed is a sweep that has shown a room on a page.
type Listed struct {
	Sweep   uint64 `json:"sweep"`
	Current bool   `json:"current"` // it is on its way
	Newest  bool   `json:"newest"`  // it is the newest complete one
	Began   Time   `json:"began"`   // null: that is not known any more
}

// An End is that of one life.
type End struct {
	CreateTime int64  `json:"CreateTime"`
	Told       Time   `json:"told"`
	By         string `json:"by"`     // info, sweeps or list; empty: that is not remembered
	Missed     uint64 `json:"missed"` // complete sweeps in a row that had missed it
}

// A RoomAbsence is how sweeps end a room.
type RoomAbsence struct {
	Sweeps   uint64     `json:"sweeps"` // complete sweeps, up to the newest, that have missed it
	First    Time       `json:"first"`  // when the first and the newest of them began; null if there are none
	Newest   Time       `json:"newest"`
	Number   uint64     `json:"number"` // of the newest; 0: it was before the start
	Needed   uint64     `json:"needed"` // so many in a row have to miss it, the first and the last …
	Span     float64    `json:"span_seconds"`
	MissRate float64    `json:"miss_rate"` // how likely a sweep is to miss a room that is live
	Guard    SweepGuard `json:"guard"`
	Passed   bool       `json:"passed"`          // the sweep on its way should have shown it by now
	Waits    bool       `json:"waits_for_reads"` // its end by sweeps waits for reads of its own
}

// A SweepGuard keeps many rooms from ending by sweeps at once.
type SweepGuard struct {
	Active bool `json:"active"`
	Agree  int  `json:"agree"`  // complete sweeps in a row that missed most rooms
	Needed int  `json:"needed"` // as many have to agree before that is believed
}

// RoomReads are the point reads of a room.
type RoomReads struct {
	Refused   *Lasting   `json:"refused"` // null: they are not
	Retry     Time       `json:"retry"`   // null as refused
	Answering bool       `json:"answering"`
	Reading   bool       `json:"reading"` // one is on its way
	Waiting   *Proposed  `json:"waiting"` // null: it is not proposed
	Last      *RoomRead  `json:"last"`    // of the last ten minutes; null: there was none
	Witnesses []Witness  `json:"witnesses"`
	Newer     *NewerLife `json:"newer"`  // null: none is shown
	Failed    int        `json:"failed"` // reads that have said nothing since one has shown it
	FailedAt  Time       `json:"failed_at"`

	VoidSince    Time `json:"void_since"`   // of a control that did not find its room: no answer that finds none counts; null: they do
	Controllable bool `json:"controllable"` // there is a live room to read as a control
	Proved       bool `json:"proved"`       // its end is proved …
	HeldBack     bool `json:"held_back"`    // … and too many rooms are gone at once
}

// A Proposed room waits for a read.
type Proposed struct {
	Source string `json:"source"`
	Class  string `json:"class"` // absences, callbacks or others
	Since  Time   `json:"since"`
	Due    Time   `json:"due"`
	Before int    `json:"before"` // rooms of its class whose turn is earlier
}

// A RoomRead is the newest read of a room.
type RoomRead struct {
	At      Time   `json:"at"`
	Outcome string `json:"outcome"` // live, hidden, gone or no_answer
	Void    Time   `json:"void"`    // of the control that has voided it; null: none has
}

// A Witness says that a room does not exist.
type Witness struct {
	At Time   `json:"at"`
	By string `json:"by"` // read or callback
}

// A NewerLife waits for its proof.
type NewerLife struct {
	CreateTime int64 `json:"CreateTime"`
	Listed     bool  `json:"listed"` // a page has shown it
	Read       Time  `json:"read"`   // the first read that has shown it; null: none has
}

// A RoomCallback is what the vendor's server has called of a room.
type RoomCallback struct {
	At   Time   `json:"at"`
	Kind string `json:"kind"` // created, destroyed or updated
	Seen bool   `json:"seen"` // something has shown the room since
}

// explain takes the RoomId from the query: in a path there is none called "..".
func (s *Server) explain(w http.ResponseWriter, r *http.Request) {
	v, err := parameters(r.URL.RawQuery, "room")
	if err != nil || v.Get("room") == "" {
		serve.Refuse(w, http.StatusBadRequest, "no room is named, or something else is asked for: write %s?room= and the RoomId, percent-encoded", explainPath)
		return
	}
	id := v.Get("room")
	e, ok, err := s.c.Explain(id)
	switch {
	case err != nil:
		answer(w, nil, s.broken(r.Context(), err))
	case !ok:
		serve.Refuse(w, http.StatusNotFound, "nothing is known of room %.200q: it is not live, waits for no read, and no end of the last 24 hours is remembered", id)
	default:
		e.Sentences = e.words()
		if st := s.c.Status(); st.Lease != nil {
			e.Sentences = append(e.Sentences, "This roomwatch is "+roleInUTC(st)+".")
		}
		serve.Answer(w, http.StatusOK, e)
	}
}
