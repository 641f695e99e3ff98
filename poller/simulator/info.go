package simulator

import (
	"encoding/json"
	"hash/fnv"
	"time"
)

// info is the Response of get_room_info.
type info struct {
	RoomInfo roomInfo
}

// roomInfo is a room as get_room_info shows it, fields in the order of the
// documentation. Owner_Account is a number there.
type roomInfo struct {
	RoomID            string `json:"RoomId"`
	RoomName          string
	RoomType          string
	Owner             int64 `json:"Owner_Account"`
	CreateTime        int64
	IsSeatEnabled     bool
	TakeSeatMode      string
	MaxSeatCount      int
	MaxMemberCount    int
	IsMessageDisabled bool
	CoverURL          string
	Category          []int64 `json:",omitempty"`
	ActivityStatus    int64
	ViewCount         int64
	IsPublicVisible   bool
	Notice            string
}

// answerInfo returns the error code and, if that is 0, the room.
func (s *Service) answerInfo(request []byte, _ Fault) (code, any) {
	id, c := parseInfo(request)
	if c != ok {
		return c, nil
	}
	if s.lying(LieInfo) {
		return noRoom, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	l, live := s.world.at(id, s.now().Add(-s.c.InfoLag))
	if !live {
		return noRoom, nil
	}
	return ok, info{roomInfo{
		RoomID: l.RoomID, RoomName: l.RoomName, RoomType: "Live", Owner: account(l.Owner), CreateTime: l.CreateTime,
		IsSeatEnabled: true, TakeSeatMode: "ApplyToTake", MaxSeatCount: 8, MaxMemberCount: 300,
		CoverURL: l.CoverURL, Category: l.Category, ActivityStatus: l.ActivityStatus, ViewCount: l.ViewCount,
		IsPublicVisible: l.Hidden.IsZero(),
	}}
}

// parseInfo reads the body of a get_room_info, as parse does that of the list.
func parseInfo(body []byte) (id string, c code) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil {
		return "", badJSON
	}
	var given *string
	if json.Unmarshal(fields["RoomId"], &given) != nil || given == nil || checkRoomID(*given) != nil {
		return "", badParameter
	}
	return *given, ok
}

// account returns the number that stands for an owner.
func account(owner string) int64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(owner)) // no error: a hash takes all
	return 144115188075855872 + int64(h.Sum64()>>20)
}

// at returns the life that a RoomID had at a moment that is not far from the
// present, and whether the list showed it then; all else is as it is now.
func (w *world) at(id string, t time.Time) (Life, bool) {
	if r := w.byID[id]; r != nil && !r.opened.After(t) {
		l := Life{Room: r.Room, Opened: r.opened, Hidden: r.hidden}
		switch {
		case r.hidden.After(t):
			l.Hidden = time.Time{}
		case r.hidden.IsZero() && r.shown.After(t):
			l.Hidden = t
		}
		return l, true
	}
	for i := len(w.ended) - 1; i >= 0 && w.ended[i].Ended.After(t); i-- {
		if l := w.ended[i]; l.RoomID == id && !l.Opened.After(t) {
			return l, true
		}
	}
	return Life{}, false
}
