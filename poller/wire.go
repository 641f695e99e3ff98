package poller

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	jsonv1 "github.com/go-json-experiment/json/v1"

	"roomwatch/diff"
)

// pageSize is how many rooms a page is asked for: the most the service gives.
const pageSize = 20

// maxAhead is how far behind the answer's own Date a CreateTime may lie. A row from
// further in the future would make the room's true life an older one for good.
const maxAhead = 24 * time.Hour

// maxRoomID is the longest RoomId that the documentation allows, in bytes.
const maxRoomID = 48

// A page is one decoded answer.
type page struct {
	next      string // empty only if the service said that the list ends here
	rooms     []diff.Room
	unusable  int    // rows that were skipped
	why       string // what is wrong with the first of them
	requestID string

	latest int64 // CreateTime that is believed; 0: any
}

// The wire form of a request and of an answer. Pointers tell missing from zero.
type (
	wireRequest struct {
		Next  string
		Count int
	}
	wireHead struct {
		ActionStatus string
		ErrorCode    *int
		ErrorInfo    text
		RequestID    text `json:"RequestId"`
	}
	wireAnswer struct {
		wireHead
		Response struct {
			Next     *string
			RoomList []wireRoom
		}
	}
	wireRoom struct {
		RoomID         *string `json:"RoomId"`
		RoomName       string
		OwnerAccount   text `json:"Owner_Account"`
		CoverURL       string
		Category       []int64
		CreateTime     *int64
		ActivityStatus int64
		ViewCount      *int64
	}
)

var errNoNext = errors.New("decode answer: Response, or Next in it, is missing")

// text is a JSON string, or an integer taken literally: the vendor's samples
// have Owner_Account both ways, and a float would not hold it.
type text string

func (t *text) UnmarshalJSON(b []byte) error {
	if b[0] == '"' {
		return jsonv2.Unmarshal(b, (*string)(t), jsontext.AllowInvalidUTF8(true))
	}
	if string(b) == "null" {
		*t = ""
		return nil
	}
	if strings.Trim(string(b), "-0123456789") != "" {
		return &json.UnmarshalTypeError{Value: kindOf(b), Type: reflect.TypeFor[text]()}
	}
	*t = text(b)
	return nil
}

// decodePage decodes the body of an answer. The error is an [*APIError] if the
// service understood the request and refused it; any other error means that the
// answer proves nothing.
//
// It is tolerant where nothing hangs on it. It is strict where a lie would be
// false news: an answer without ErrorCode, without Response or without Next must
// not look like the end of an empty list.
//
// date is when the service says that it answered; zero if it does not say.
func decodePage(body []byte, date time.Time) (page, error) {
	p := page{latest: latest(date)}
	var a wireAnswer
	a.Response.RoomList = make([]wireRoom, 0, pageSize) // grown row by row it would be copied five times
	if err := jsonv2.Unmarshal(body, &a, jsonv2.MatchCaseInsensitiveNames(true), jsonv1.MatchCaseSensitiveDelimiter(true)); err != nil {
		return p.decodeParts(body)
	}
	if err := a.refusal(); err != nil {
		return page{}, err
	}
	if a.Response.Next == nil {
		return page{}, errNoNext
	}
	p.next, p.requestID = *a.Response.Next, string(a.RequestID)
	p.rooms = make([]diff.Room, 0, len(a.Response.RoomList))
	for i, row := range a.Response.RoomList {
		p.add(i, row, nil)
	}
	return p, nil
}

// latest returns the CreateTime from which on a room is from too far in the
// future, by the date of its answer; 0 if that is zero.
func latest(date time.Time) int64 {
	if date.IsZero() {
		return 0
	}
	return date.Add(maxAhead).Unix()
}

// decodeParts decodes an answer that is not quite as it should be, such as one
// with a wrong type somewhere: part by part, so that the part is blamed that has
// it, and a row costs only itself. It is more tolerant than [decodePage], and slower.
func (p page) decodeParts(body []byte) (page, error) {
	var a struct {
		wireHead
		Response json.RawMessage
	}
	if err := json.Unmarshal(body, &a); err != nil {
		return page{}, fmt.Errorf("decode answer of %d bytes: %w", len(body), plain(body, "the answer", "an object", err))
	}
	if err := a.refusal(); err != nil {
		return page{}, err
	}
	var r struct {
		Next     *string
		RoomList json.RawMessage
	}
	if len(a.Response) > 0 {
		if err := json.Unmarshal(a.Response, &r); err != nil {
			return page{}, fmt.Errorf("decode answer: %w", plain(a.Response, "Response", "an object", err))
		}
	}
	if r.Next == nil {
		return page{}, errNoNext
	}
	p.next, p.requestID = *r.Next, string(a.RequestID)
	if len(r.RoomList) == 0 {
		return p, nil
	}
	var rows []json.RawMessage
	if err := json.Unmarshal(r.RoomList, &rows); err != nil {
		return page{}, fmt.Errorf("decode answer: %w", plain(r.RoomList, "RoomList", "a list of rooms", err))
	}
	for i, b := range rows {
		var row wireRoom
		err := json.Unmarshal(b, &row)
		p.add(i, row, plain(b, "the row", "an object", err))
	}
	return p, nil
}

// refusal returns the error that an answer tells, or nil if it tells success.
func (h wireHead) refusal() error {
	if h.ErrorCode == nil {
		return errors.New("decode answer: ErrorCode is missing")
	}
	e := &APIError{Code: *h.ErrorCode, Info: string(h.ErrorInfo), RequestID: string(h.RequestID)}
	switch {
	case e.Code != 0:
		r := ruleOf(e.Code)
		e.Class, e.Advice = r.class, r.advice
	case h.ActionStatus != "" && !strings.EqualFold(h.ActionStatus, "OK"):
		e.Class, e.Advice = Retry, "the service says "+h.ActionStatus+" without a code, retried"
	default:
		return nil
	}
	return e
}

// add takes row i into the page if it is usable, and counts it otherwise.
func (p *page) add(i int, row wireRoom, err error) {
	var r diff.Room
	if err == nil {
		r, err = row.room(p.latest)
	}
	if err == nil {
		p.rooms = append(p.rooms, r)
		return
	}
	p.unusable++
	if p.why == "" {
		p.why = fmt.Sprintf("row %d: %v", i+1, err)
	}
}

func (w wireRoom) room(latest int64) (diff.Room, error) {
	switch {
	case w.RoomID == nil || *w.RoomID == "":
		return diff.Room{}, errors.New("RoomId is missing")
	case len(*w.RoomID) > maxRoomID:
		return diff.Room{}, fmt.Errorf("RoomId has %d bytes, and may have %d", len(*w.RoomID), maxRoomID)
	case w.CreateTime == nil || *w.CreateTime <= 0:
		return diff.Room{}, errors.New("CreateTime is missing or not positive")
	case latest > 0 && *w.CreateTime > latest:
		return diff.Room{}, fmt.Errorf("CreateTime %d is more than a day after the answer's Date", *w.CreateTime)
	}
	var views int64 // an encoder may leave zeros out
	if w.ViewCount != nil {
		views = *w.ViewCount
	}
	if views < 0 {
		return diff.Room{}, fmt.Errorf("ViewCount is %d, and must not be negative", views)
	}
	r := diff.Room{
		RoomID: *w.RoomID, RoomName: w.RoomName, OwnerAccount: string(w.OwnerAccount), CoverURL: w.CoverURL,
		CreateTime: *w.CreateTime, ActivityStatus: w.ActivityStatus, ViewCount: views,
	}
	if len(w.Category) > 0 {
		r.Category = w.Category
	}
	return r, nil
}
