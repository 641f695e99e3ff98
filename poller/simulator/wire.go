package simulator

import (
	"encoding/json"
	"fmt"
)

// envelope is every answer of the API.
type envelope struct {
	ActionStatus string
	ErrorInfo    string
	ErrorCode    code
	RequestID    string `json:"RequestId"`
	Response     any    `json:",omitempty"`
}

// page is the Response of get_room_list.
type page struct {
	Next     string
	RoomList []row
}

// row is a room as the list shows it, fields in the order of the documentation.
type row struct {
	RoomName       string
	RoomID         string `json:"RoomId"`
	Owner          string `json:"Owner_Account"`
	CoverURL       string
	Category       []int64 `json:",omitempty"`
	CreateTime     int64
	ActivityStatus int64
	ViewCount      int64
}

func newPage(rooms []Room, next string) page {
	rows := make([]row, 0, len(rooms))
	for _, r := range rooms {
		rows = append(rows, row{
			RoomName:       r.RoomName,
			RoomID:         r.RoomID,
			Owner:          r.Owner,
			CoverURL:       r.CoverURL,
			Category:       r.Category,
			CreateTime:     r.CreateTime,
			ActivityStatus: r.ActivityStatus,
			ViewCount:      r.ViewCount,
		})
	}
	return page{Next: next, RoomList: rows}
}

// encode returns the answer to the n-th request of a Service.
func encode(n int, seed uint64, c code, response any) []byte {
	e := envelope{
		ActionStatus: "OK",
		ErrorInfo:    c.info(),
		ErrorCode:    c,
		RequestID:    fmt.Sprintf("Id-%016x%016x-O-Seq-%d", seed, n, n),
		Response:     response,
	}
	if c != ok {
		e.ActionStatus = "FAIL"
	}
	body, err := json.Marshal(e)
	if err != nil {
		panic(fmt.Sprintf("encode answer %d: %v", n, err)) // unreachable: strings and integers only
	}
	return body
}
