package main

import (
	"context"
	"time"

	"roomwatch/cmd/roomnotify/form"
	"roomwatch/publisher/events"
)

// A keeper is what a target must not forget: the [store], or the memory of a dry run.
type keeper interface {
	subject(parts ...string) string

	// hold, wait and setAside keep a notification, perhaps from another message of the store; wait returns its sequence number.
	hold(ctx context.Context, n form.Notification, from uint64) error
	wait(ctx context.Context, n form.Notification, reason string, from uint64) (uint64, error)
	setAside(ctx context.Context, n form.Notification, reason string, from uint64) error

	// next returns the first one on a subject at or after a sequence number; nil if there is none.
	next(ctx context.Context, subject string, from uint64) (*stored, error)
	remove(ctx context.Context, s *stored) error
	drop(ctx context.Context, subject string, last uint64) error

	// The last one in the digest that is being sent; 0 if none is.
	boundary(ctx context.Context, target, rule string) (uint64, error)
	setBoundary(ctx context.Context, target, rule string, last uint64) error

	// told notes that an event crosses a milestone, and reports whether it is the first.
	told(ctx context.Context, target, rule string, e events.Event, milestone int64) (bool, error)

	// What a target was told of an application that nobody watches; nil: nothing.
	silence(ctx context.Context, target, rule string, app int) (*silence, error)
	noteSilence(ctx context.Context, target, rule string, app int, now silence) error
	endSilence(ctx context.Context, target, rule string, app int) error
}

// A pulseSource is where a target looks at the pulse: the event stream as it is, or as
// it was at a moment of a dry run.
type pulseSource interface {
	// look returns the newest pulse of each application, and the time it is there.
	look(ctx context.Context) (now time.Time, list []pulse, err error)
	// resumed returns the newest gap of an application that was told after a time; nil if none was.
	resumed(ctx context.Context, app int, after time.Time) (*events.ResumedData, error)
}
