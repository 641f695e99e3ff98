package poller

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"roomwatch/diff"
)

// pageSize is how many rooms a page is asked for: the most the service gives.
const pageSize = 20

// maxRoomID is the longest RoomId that is believed. The documentation says 48.
const maxRoomID = 255

// A page is one decoded answer.
type page struct {
	next      string // empty only if the service said that the list ends here
	rooms     []diff.Room
	unusable  int    // rows that were skipped
	why       string // what is wrong with the first of them
	requestID string
}

// The wire form of a request and of an answer. Pointers tell missing from zero.
// Raw parts are decoded one after the other, so that a wrong type is blamed on
// the part it is in.
type (
	wireRequest struct {
		Next  string
		Count int
	}
	wireAnswer struct {
		ActionStatus string
		ErrorCode    *int
		ErrorInfo    text
		RequestID    text `json:"RequestId"`
		Response     json.RawMessage
	}
	wireResponse struct {
		Next     *string
		RoomList json.RawMessage
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

// text is a JSON string, or an integer taken literally: the vendor's samples
// have Owner_Account both ways, and a float would not hold it.
type text string

func (t *text) UnmarshalJSON(b []byte) error {
	if b[0] == '"' {
		return json.Unmarshal(b, (*string)(t))
	}
	if string(b) == "null" {
		*t = ""
		return nil
	}
	if strings.Trim(string(b), "-0123456789") != "" {
		return errors.New("neither a string nor an integer")
	}
	*t = text(b)
	return nil
}

func encodeRequest(next string) ([]byte, error) {
	return json.Marshal(wireRequest{Next: next, Count: pageSize})
}

// decodePage decodes the body of an answer. The error is an [*APIError] if the
// service understood the request and refused it; any other error means that the
// answer proves nothing.
//
// It is tolerant where nothing hangs on it. It is strict where a lie would be
// false news: an answer without ErrorCode, without Response or without Next must
// not look like the end of an empty list.
func decodePage(body []byte) (page, error) {
	var a wireAnswer
	if err := json.Unmarshal(body, &a); err != nil {
		return page{}, fmt.Errorf("decode answer of %d bytes: %w", len(body), err)
	}
	if a.ErrorCode == nil {
		return page{}, fmt.Errorf("decode answer of %d bytes: ErrorCode is missing", len(body))
	}
	if err := refusal(a); err != nil {
		return page{}, err
	}
	var r wireResponse
	if isNull(a.Response) {
		return page{}, errors.New("decode answer: Response is missing")
	}
	if err := json.Unmarshal(a.Response, &r); err != nil {
		return page{}, fmt.Errorf("decode Response: %w", err)
	}
	if r.Next == nil {
		return page{}, errors.New("decode Response: Next is missing")
	}
	p := page{next: *r.Next, requestID: string(a.RequestID)}
	if isNull(r.RoomList) {
		return p, nil
	}
	if err := p.decodeRooms(r.RoomList); err != nil {
		return page{}, err
	}
	return p, nil
}

// refusal returns the error that an answer tells, or nil if it tells success.
func refusal(a wireAnswer) error {
	e := &APIError{Code: *a.ErrorCode, Info: string(a.ErrorInfo), RequestID: string(a.RequestID)}
	switch {
	case e.Code != 0:
		r := ruleOf(e.Code)
		e.Class, e.Advice = r.class, r.advice
	case a.ActionStatus != "" && !strings.EqualFold(a.ActionStatus, "OK"):
		e.Class, e.Advice = Retry, "the service says "+a.ActionStatus+" without a code, retried"
	default:
		return nil
	}
	return e
}

// decodeRooms decodes the rows together, or, if one of them has a wrong type,
// one by one, so that it costs only itself.
func (p *page) decodeRooms(list json.RawMessage) error {
	var rows []wireRoom
	if err := json.Unmarshal(list, &rows); err == nil {
		p.rooms = make([]diff.Room, 0, len(rows))
		for i := range rows {
			p.add(i, rows[i], nil)
		}
		return nil
	}
	var raw []json.RawMessage
	if err := json.Unmarshal(list, &raw); err != nil {
		return fmt.Errorf("decode RoomList: %w", err)
	}
	p.rooms = make([]diff.Room, 0, len(raw))
	for i, b := range raw {
		var row wireRoom
		err := json.Unmarshal(b, &row)
		p.add(i, row, err)
	}
	return nil
}

// add takes row i into the page if it is usable, and counts it otherwise.
func (p *page) add(i int, row wireRoom, err error) {
	var r diff.Room
	if err == nil {
		r, err = row.room()
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

func (w wireRoom) room() (diff.Room, error) {
	switch {
	case w.RoomID == nil || *w.RoomID == "":
		return diff.Room{}, errors.New("RoomId is missing")
	case len(*w.RoomID) > maxRoomID:
		return diff.Room{}, fmt.Errorf("RoomId has %d bytes", len(*w.RoomID))
	case w.CreateTime == nil || *w.CreateTime <= 0:
		return diff.Room{}, errors.New("CreateTime is missing or not positive")
	case w.ViewCount == nil || *w.ViewCount < 0:
		return diff.Room{}, errors.New("ViewCount is missing or negative")
	}
	r := diff.Room{
		RoomID: *w.RoomID, RoomName: w.RoomName, OwnerAccount: string(w.OwnerAccount), CoverURL: w.CoverURL,
		CreateTime: *w.CreateTime, ActivityStatus: w.ActivityStatus, ViewCount: *w.ViewCount,
	}
	if len(w.Category) > 0 {
		r.Category = w.Category
	}
	return r, nil
}

func isNull(m json.RawMessage) bool { return len(m) == 0 || bytes.Equal(m, []byte("null")) }
