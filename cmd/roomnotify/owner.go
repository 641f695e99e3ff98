package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"time"

	"github.com/oklog/ulid/v2"
)

// An owner is a roomnotify that tells a target. It stands beside the place of the
// target, so that another one of the same name can say who it is.
type owner struct {
	Host     string    `json:"host"`
	Instance string    `json:"instance"` // of one process
	Since    time.Time `json:"since"`    // when it began to tell the target
}

func newOwner() owner {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return owner{Host: host, Instance: ulid.Make().String()}
}

// owner returns who has left the place of a target; the zero owner if that cannot
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

// A standby says that another roomnotify tells a target, and when that is over.
type standby struct {
	log   *slog.Logger
	name  string // of the installation
	other *owner // nil: there is none
}

// report says once of each other one who it is.
func (s *standby) report(ctx context.Context, err error, by owner) {
	if s.other != nil && *s.other == by || ctx.Err() != nil {
		return
	}
	s.other = &by
	s.log.ErrorContext(ctx, "another roomnotify runs with this name: this one stands by", "name", s.name, "error", err,
		"host", by.Host, "instance", by.Instance, "since", by.Since,
		"fix", "stop one of them, or set ROOMNOTIFY_NAME of the one for another rule file; this one goes on when the other is stopped")
}

func (s *standby) over(ctx context.Context) {
	if s.other != nil {
		s.log.InfoContext(ctx, "the other roomnotify is gone: this one goes on", "host", s.other.Host, "instance", s.other.Instance)
	}
	s.other = nil
}
