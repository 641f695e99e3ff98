package simulator

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"time"
)

// The commands of the callbacks that are sent.
const (
	roomCreated   = "Live.CallbackAfterCreateRoom"
	roomDestroyed = "Live.CallbackAfterDestroyRoom"
	roomUpdated   = "Live.CallbackAfterUpdateRoomInfo"
)

// platforms are the values of OptPlatform.
var platforms = [...]string{"RESTAPI", "Web", "Android", "iOS", "Windows", "Mac", "iPad", "Unknown"}

// createdBody tells of a new room, fields in the order of the documentation. Its
// table of fields has an EventTime, its sample has none.
type createdBody struct {
	CallbackCommand string
	Operator        string `json:"Operator_Account"`
	RoomInfo        createdRoom
	EventTime       int64 `json:",omitempty"` // Unix milliseconds, as in the others
}

type createdRoom struct {
	RoomID            string `json:"RoomId"`
	RoomName          string
	RoomType          string
	Owner             string `json:"Owner_Account"`
	MaxMemberCount    int
	IsMessageDisabled bool
	CustomInfo        string
	IsSeatEnabled     bool
	TakeSeatMode      string
	MaxSeatCount      int
	CreateTime        int64
	IsPublicVisible   bool
	CoverURL          string
	Category          []int64 `json:",omitempty"`
}

// updatedBody tells of a room with other attributes, a hidden or a shown one.
type updatedBody struct {
	CallbackCommand string
	Operator        string `json:"Operator_Account"`
	RoomInfo        updatedRoom
	EventTime       int64
}

type updatedRoom struct {
	RoomID            string `json:"RoomId"`
	RoomName          string
	MaxMemberCount    int
	IsMessageDisabled bool
	CoverURL          string
	Category          []int64 `json:",omitempty"`
	ActivityStatus    int64
	IsPublicVisible   bool
	TakeSeatMode      string
	CustomInfo        string
}

// destroyedBody tells of the end of a room; nothing in it names the life.
type destroyedBody struct {
	CallbackCommand string
	Operator        string `json:"Operator_Account"`
	RoomID          string `json:"RoomId"`
	EventType       string
	EventTime       int64
	RoomInfo        destroyedRoom
	Statistic       *statistic `json:",omitempty"`
}

type destroyedRoom struct {
	RoomID                 string `json:"RoomId,omitempty"`
	RoomName               string
	RoomType               string
	Owner                  any `json:"Owner_Account"` // a string, or a number above 2^53
	IsSeatEnabled          bool
	TakeSeatMode           string
	MaxMemberCount         int
	MaxSeatCount           int
	Category               []int64 `json:",omitempty"`
	CustomInfo             string
	IsMessageDisabled      bool
	CoverURL               string
	ActivityStatus         int64
	IsPublicVisible        bool
	ViewCount              int64
	BackgroundURL          string
	IsUnlimitedRoomEnabled bool
}

type statistic struct {
	TotalViewers           int64
	TotalGiftsSent         int64
	TotalGiftCoins         int64
	TotalUniqueGiftSenders int64
	TotalLikesReceived     int64
}

// callbackBody returns the body of a callback; rng chooses between the shapes that
// are documented and those that were received.
func callbackBody(command string, r *room, at time.Time, rng *rand.Rand) []byte {
	var v any
	switch other := rng.IntN(2) == 1; command {
	case roomCreated:
		v = newCreated(r, at, other)
	case roomDestroyed:
		v = newDestroyed(r, at, other)
	default:
		v = newUpdated(r, at)
	}
	body, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("encode callback %s: %v", command, err)) // unreachable: strings, integers and booleans only
	}
	return body
}

func newCreated(r *room, at time.Time, withTime bool) createdBody {
	b := createdBody{CallbackCommand: roomCreated, Operator: r.Owner, RoomInfo: createdRoom{
		RoomID: r.RoomID, RoomName: r.RoomName, RoomType: "Live", Owner: r.Owner, MaxMemberCount: 300,
		IsSeatEnabled: true, TakeSeatMode: "ApplyToTake", MaxSeatCount: 8, CreateTime: r.CreateTime,
		IsPublicVisible: r.hidden.IsZero(), CoverURL: r.CoverURL, Category: r.Category,
	}}
	if withTime {
		b.EventTime = at.UnixMilli()
	}
	return b
}

func newUpdated(r *room, at time.Time) updatedBody {
	return updatedBody{CallbackCommand: roomUpdated, Operator: r.Owner, EventTime: at.UnixMilli(), RoomInfo: updatedRoom{
		RoomID: r.RoomID, RoomName: r.RoomName, MaxMemberCount: 300, CoverURL: r.CoverURL, Category: r.Category,
		ActivityStatus: r.ActivityStatus, IsPublicVisible: r.hidden.IsZero(), TakeSeatMode: "ApplyToTake",
	}}
}

// newDestroyed returns the documented body, or what was received for rooms that
// the system closed: RoomId twice, the owner as a string, no Category and no
// Statistic.
func newDestroyed(r *room, at time.Time, bySystem bool) destroyedBody {
	b := destroyedBody{
		CallbackCommand: roomDestroyed, Operator: r.Owner, RoomID: r.RoomID, EventType: "DestroyByUser", EventTime: at.UnixMilli(),
		RoomInfo: destroyedRoom{
			RoomName: r.RoomName, RoomType: "Live", Owner: account(r.Owner), IsSeatEnabled: true, TakeSeatMode: "ApplyToTake",
			MaxMemberCount: 300, MaxSeatCount: 8, Category: r.Category, CoverURL: r.CoverURL, ActivityStatus: r.ActivityStatus,
			IsPublicVisible: r.hidden.IsZero(), ViewCount: r.ViewCount, IsUnlimitedRoomEnabled: true,
		},
		Statistic: &statistic{TotalViewers: r.ViewCount},
	}
	if bySystem {
		b.Operator, b.EventType, b.Statistic = "@TIM#SYSTEM", "DestroyBySystem", nil
		b.RoomInfo.RoomID, b.RoomInfo.Owner, b.RoomInfo.Category = r.RoomID, r.Owner, nil
	}
	return b
}
