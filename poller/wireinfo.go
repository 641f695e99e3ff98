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

// decodeInfo decodes the body of the answer to a point read, and says in r what it
// shows. An error means that it says nothing of the room: it is an [*APIError] if
// the service refused the request. That the room does not exist is an answer.
//
// All that a room has must fit: an answer that is wrong in one field may be wrong
// in the one that says which room it is.
func decodeInfo(body []byte, r *diff.Read, date time.Time) error {
	var a wireInfoAnswer
	if err := json.Unmarshal(body, &a); err != nil {
		return fmt.Errorf("decode answer of %d bytes: %w", len(body), plain(body, "the answer", "an object", err))
	}
	r.RequestID = string(a.RequestID)
	if err := a.refusal(); err != nil {
		if api, ok := errors.AsType[*APIError](err); ok && api.Code == codeNoRoom {
			r.Outcome = diff.Gone
			return nil
		}
		return err
	}
	info := a.Response.RoomInfo
	if info == nil {
		return errors.New("decode answer: Response, or RoomInfo in it, is missing")
	}
	room, err := info.room(latest(date))
	switch {
	case err != nil:
		return fmt.Errorf("decode answer: %w", err)
	case room.RoomID != r.RoomID:
		return fmt.Errorf("decode answer: it is of room %.64q", room.RoomID)
	}
	r.Room, r.Outcome = room, diff.Live
	if info.IsPublicVisible != nil && !*info.IsPublicVisible {
		r.Outcome = diff.Hidden
	}
	return nil
}
