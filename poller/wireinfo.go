package poller

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"roomwatch/diff"
)

// The wire form of a point read and of its answer.
type (
	wireInfoRequest struct {
		RoomID string `json:"RoomId"`
	}
	wireInfoAnswer struct {
		wireHead
		Response struct {
			RoomInfo *wireInfo
		}
	}
	wireInfo struct {
		wireRoom
		IsPublicVisible *bool
	}
)

// decodeInfo decodes the body of the answer to a point read of the room id. An
// error means that the answer says nothing of the room: it is an [*APIError] if
// the service refused the request. That the room does not exist is an answer.
//
// All that a room has must fit: an answer that is wrong in one field may be wrong
// in the one that says which room it is.
func decodeInfo(body []byte, id string, date time.Time) (diff.Outcome, diff.Room, error) {
	var a wireInfoAnswer
	if err := json.Unmarshal(body, &a); err != nil {
		return diff.NoAnswer, diff.Room{}, fmt.Errorf("decode answer of %d bytes: %w", len(body), plain(body, "the answer", "an object", err))
	}
	if err := a.refusal(); err != nil {
		if api, ok := errors.AsType[*APIError](err); ok && api.Code == codeNoRoom {
			return diff.Gone, diff.Room{}, nil
		}
		return diff.NoAnswer, diff.Room{}, err
	}
	info := a.Response.RoomInfo
	if info == nil {
		return diff.NoAnswer, diff.Room{}, errors.New("decode answer: Response, or RoomInfo in it, is missing")
	}
	r, err := info.room(latest(date))
	switch {
	case err != nil:
		return diff.NoAnswer, diff.Room{}, fmt.Errorf("decode answer: %w", err)
	case r.RoomID != id:
		return diff.NoAnswer, diff.Room{}, fmt.Errorf("decode answer: it is of room %.64q", r.RoomID)
	case info.IsPublicVisible != nil && !*info.IsPublicVisible:
		return diff.Hidden, r, nil
	}
	return diff.Live, r, nil
}
