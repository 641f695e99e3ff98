package main

import (
	"context"
	"encoding/json"
	"os"
	"time"

	"github.com/oklog/ulid/v2"
)

// An owner is a roomnotify that notifies a target. It stands beside the position of the
// target, so that another one of the same name can say who it is.
type owner struct {
	Host     string    `json:"host"`
	Instance string    `json:"instance"` // of one process
	Since    time.Time `json:"since"`    // when it began to notify the target
}

func newOwner() owner {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return owner{Host: host, Instance: ulid.Make().String()}
}

// owner returns who has saved the position of a target; the zero owner if that cannot
// be read.
func (s *store) owner(ctx context.Context, target string) owner {
	var at struct{ By owner }
	data, err := s.last(ctx, s.subject(placePart, target))
	if err == nil {
		err = json.Unmarshal([]byte(data), &at)
	}
	if err != nil {
		return owner{}
	}
	return at.By
}
