package events

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// ContentType is the content type of every message: CloudEvents in structured mode.
const ContentType = "application/cloudevents+json"

// wireTime is how times are written: RFC 3339 in UTC with milliseconds.
const wireTime = "2006-01-02T15:04:05.000Z"

// A Type says what happened to a room.
type Type string

// The types of events. A later version may have more: pass over what you do not know.
const (
	RoomCreated      Type = "room.created"
	RoomEnded        Type = "room.ended"
	ViewCountChanged Type = "viewcount.changed"
	RoomUpdated      Type = "room.updated"
	RoomHidden       Type = "room.hidden" // it lives, and the list shows it no more
	RoomShown        Type = "room.shown"  // the list shows it again
)

// Types returns all types of events.
func Types() []Type {
	return []Type{RoomCreated, RoomEnded, ViewCountChanged, RoomUpdated, RoomHidden, RoomShown}
}

// An Event is a CloudEvents 1.0 event that tells of a change of a room.
type Event struct {
	SpecVersion     string    `json:"specversion"` // 1.0
	ID              string    `json:"id"`          // <epoch>-<sequence>
	Source          string    `json:"source"`      // /live/<sdkappid>
	Type            Type      `json:"type"`
	Subject         string    `json:"subject,omitzero"`     // the RoomId
	Time            time.Time `json:"time"`                 // when the change was seen, in milliseconds
	Sequence        string    `json:"sequence,omitzero"`    // 16 digits; counts 1, 2, 3 … within an epoch
	TraceParent     string    `json:"traceparent,omitzero"` // of the page that showed it; empty if nothing is traced
	DataContentType string    `json:"datacontenttype"`
	DataSchema      string    `json:"dataschema,omitzero"` // urn:roomwatch:schema:X; every roomwatch serves X at /schema/X.json
	Data            Data      `json:"data"`

	// Stored is when the stream stored the event, by the clock of the NATS server;
	// zero where that is not known.
	Stored time.Time `json:"-"`
}

// Data is what an event says of its room.
type Data struct {
	Room     Room      `json:"room"`              // as seen; in room.ended as last seen
	Previous *Previous `json:"previous,omitzero"` // what changed; nil in room.created and room.ended
	Version  uint64    `json:"version"`           // 1 in room.created, one more with every further event of this life
	Since    time.Time `json:"since,omitzero"`    // the change happened in (Since, Time]; zero if nothing is known
	Baseline bool      `json:"baseline,omitzero"` // the room was live before roomwatch first looked
	Gap      bool      `json:"gap,omitzero"`      // the change may have happened while nobody watched; [Resumed] reports that time
	Sweep    uint64    `json:"sweep"`             // the reading of the list that saw it, counted from 1
	Evidence *Evidence `json:"evidence,omitzero"` // what proves it; nil in events of older versions
}

// Evidence says what proves an event. With a RequestId the vendor's support finds
// the answer of the service.
type Evidence struct {
	By       string   `json:"by"`              // list: a page showed it; info: point reads did; sweeps: complete sweeps did not show the room
	Requests []string `json:"requests"`        // RequestIds of the answers; by sweeps that of the last page of the last of them
	Missed   uint64   `json:"missed,omitzero"` // by sweeps: complete sweeps in a row that did not show the room
}

// A Room has the field names of the vendor's get_room_list, so the vendor's
// documentation is its documentation.
type Room struct {
	RoomID         string  `json:"RoomId"`
	RoomName       string  `json:"RoomName"`
	OwnerAccount   string  `json:"Owner_Account"`
	CoverURL       string  `json:"CoverURL"`
	Category       []int64 `json:"Category"`
	CreateTime     int64   `json:"CreateTime"` // Unix seconds; a RoomId with another CreateTime is another room
	ActivityStatus int64   `json:"ActivityStatus"`
	ViewCount      int64   `json:"ViewCount"`

	// IsPublicVisible is false while the list does not show the room, which lives; else nil.
	IsPublicVisible *bool `json:"IsPublicVisible,omitzero"`
}

// Previous holds what changed, with the values that the room's events told last.
// A nil field did not change.
type Previous struct {
	RoomName       *string  `json:"RoomName,omitzero"`
	OwnerAccount   *string  `json:"Owner_Account,omitzero"`
	CoverURL       *string  `json:"CoverURL,omitzero"`
	Category       *[]int64 `json:"Category,omitzero"`
	ActivityStatus *int64   `json:"ActivityStatus,omitzero"`
	ViewCount      *int64   `json:"ViewCount,omitzero"`
}

// App returns the SDKAppID of the application whose room the event is about.
func (e Event) App() int {
	app, _ := appOf(e.Source)
	return app
}

// Position returns the epoch of the event and its number in it.
func (e Event) Position() (epoch string, seq uint64) {
	epoch, seq, _ = splitID(e.ID)
	return epoch, seq
}

// MarshalJSON writes the event as roomwatch does. [encoding/json] escapes <, >
// and & in what this returns, which means the same; [Encode] does not.
func (e Event) MarshalJSON() ([]byte, error) { return Encode(e) }

// Encode returns the event byte for byte as roomwatch writes it.
func Encode(e Event) ([]byte, error) {
	type plain Event // without MarshalJSON
	inMilliseconds := jsonv2.MarshalToFunc(func(enc *jsontext.Encoder, t time.Time) error {
		return enc.WriteToken(jsontext.String(t.UTC().Format(wireTime)))
	})
	b, err := jsonv2.Marshal(plain(e), jsontext.AllowInvalidUTF8(true), jsonv2.WithMarshalers(inMilliseconds))
	if err != nil {
		return nil, fmt.Errorf("encode event %s: %w", e.ID, err)
	}
	return b, nil
}

// splitID returns the epoch and the sequence number of an event's id.
func splitID(id string) (epoch string, seq uint64, err error) {
	epoch, digits, ok := strings.Cut(id, "-")
	if ok && epoch != "" && len(digits) >= 16 {
		if seq, err = strconv.ParseUint(digits, 10, 64); err == nil && seq > 0 {
			return epoch, seq, nil
		}
	}
	return "", 0, fmt.Errorf("id is %q, want <epoch>-<sequence of 16 digits>", id)
}

func appOf(source string) (int, error) {
	digits, ok := strings.CutPrefix(source, "/live/")
	app, err := strconv.Atoi(digits)
	if !ok || err != nil || app <= 0 || strconv.Itoa(app) != digits {
		return 0, fmt.Errorf("source is %q, want /live/<sdkappid>", source)
	}
	return app, nil
}
