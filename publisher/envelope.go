package publisher

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"roomwatch/diff"
)

const (
	// contentType is that of CloudEvents in structured mode.
	contentType = "application/cloudevents+json"
	// wireTime is RFC 3339 in UTC with milliseconds: what is finer is cut off.
	wireTime = "2006-01-02T15:04:05.000Z"
)

// An envelope is a CloudEvents 1.0 event in structured JSON. It and [appendEvent],
// which writes the same by hand, are the only places that know the wire form.
type envelope[T any] struct {
	SpecVersion     string `json:"specversion"`
	ID              string `json:"id"`
	Source          string `json:"source"`
	Type            string `json:"type"`
	Subject         string `json:"subject,omitzero"`
	Time            string `json:"time"`
	Sequence        string `json:"sequence,omitzero"`
	TraceParent     string `json:"traceparent,omitzero"` // CloudEvents' distributed tracing extension
	DataContentType string `json:"datacontenttype"`
	DataSchema      string `json:"dataschema"`
	Data            T      `json:"data"`
}

// eventData is the data of an event of a room.
type eventData struct {
	Room     wireRoom      `json:"room"`
	Previous *wirePrevious `json:"previous,omitzero"`
	Version  uint64        `json:"version"`
	Since    string        `json:"since,omitzero"`
	Baseline bool          `json:"baseline,omitzero"`
	Gap      bool          `json:"gap,omitzero"`
	Sweep    uint64        `json:"sweep"`
	Evidence *wireEvidence `json:"evidence,omitzero"`
}

type wireEvidence struct {
	By       string   `json:"by"`
	Requests []string `json:"requests"`
	Missed   uint64   `json:"missed,omitzero"`
}

// wireRoom has the field names of get_room_list.
type wireRoom struct {
	RoomID         string  `json:"RoomId"`
	RoomName       string  `json:"RoomName"`
	OwnerAccount   string  `json:"Owner_Account"`
	CoverURL       string  `json:"CoverURL"`
	Category       []int64 `json:"Category"`
	CreateTime     int64   `json:"CreateTime"`
	ActivityStatus int64   `json:"ActivityStatus"`
	ViewCount      int64   `json:"ViewCount"`
	Public         *bool   `json:"IsPublicVisible,omitzero"` // false, or not there
}

type wirePrevious struct {
	RoomName       *string  `json:"RoomName,omitzero"`
	OwnerAccount   *string  `json:"Owner_Account,omitzero"`
	CoverURL       *string  `json:"CoverURL,omitzero"`
	Category       *[]int64 `json:"Category,omitzero"`
	ActivityStatus *int64   `json:"ActivityStatus,omitzero"`
	ViewCount      *int64   `json:"ViewCount,omitzero"`
}

// Decode returns the event in a message body, as [Encode] made it; times have
// lost what is finer than a millisecond.
func Decode(body []byte) (diff.Event, error) {
	var w envelope[eventData]
	if err := json.Unmarshal(body, &w); err != nil {
		return diff.Event{}, fmt.Errorf("decode event: %w", err)
	}
	_, seq, err := splitID(w.ID)
	if err != nil {
		return diff.Event{}, fmt.Errorf("decode event: %w", err)
	}
	r := w.Data.Room
	e := diff.Event{
		ID: w.ID, Seq: seq, Type: diff.Type(w.Type), Version: w.Data.Version, Baseline: w.Data.Baseline, Gap: w.Data.Gap, Sweep: w.Data.Sweep, Trace: w.TraceParent,
		Room: diff.Room{
			RoomID: r.RoomID, RoomName: r.RoomName, OwnerAccount: r.OwnerAccount, CoverURL: r.CoverURL,
			Category: r.Category, CreateTime: r.CreateTime, ActivityStatus: r.ActivityStatus, ViewCount: r.ViewCount,
			Hidden: r.Public != nil && !*r.Public,
		},
	}
	if e.Room.RoomID == "" || e.Version == 0 {
		return diff.Event{}, fmt.Errorf("decode event %s: no room or no version", w.ID)
	}
	if v := w.Data.Evidence; v != nil {
		e.Evidence = diff.Evidence{By: diff.By(v.By), Requests: v.Requests, Missed: v.Missed}
	}
	if w.Data.Previous != nil {
		e.Previous = diff.Previous(*w.Data.Previous)
	}
	if e.Time, err = time.Parse(time.RFC3339, w.Time); err != nil {
		return diff.Event{}, fmt.Errorf("decode event %s: %w", w.ID, err)
	}
	if w.Data.Since != "" {
		if e.Since, err = time.Parse(time.RFC3339, w.Data.Since); err != nil {
			return diff.Event{}, fmt.Errorf("decode event %s: %w", w.ID, err)
		}
	}
	return e, nil
}

// splitID returns the epoch and the sequence number of an event's id.
func splitID(id string) (epoch string, seq uint64, err error) {
	epoch, digits, ok := strings.Cut(id, "-")
	if ok && epoch != "" {
		if seq, err = strconv.ParseUint(digits, 10, 64); err == nil && seq > 0 {
			return epoch, seq, nil
		}
	}
	return "", 0, fmt.Errorf("id %q is not <epoch>-<sequence>", id)
}

// dataSchema names the schema of the data of a type of events. CloudEvents wants
// an absolute URI, and roomwatch has no host of its own: what follows the prefix
// is the name under which every roomwatch serves it, at /schema/<name>.json.
func dataSchema(typ string) string { return "urn:roomwatch:schema:" + typ + ".data.v1" }

func source(app int) string { return "/live/" + strconv.Itoa(app) }

// marshal encodes without escaping what only HTML minds. What is not UTF-8 is
// written as U+FFFD.
func marshal(v any) ([]byte, error) {
	return jsonv2.Marshal(v, jsontext.AllowInvalidUTF8(true))
}
