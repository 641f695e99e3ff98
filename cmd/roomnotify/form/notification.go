package form

import (
	"fmt"
	"strings"
	"time"

	"roomwatch/publisher/events"
)

// The types of notifications, besides the types of events.
const (
	Milestone = "room.milestone"
	Summary   = "digest"
)

// EventTypes returns the types of events that a notification can tell.
func EventTypes() []string {
	return []string{string(events.RoomCreated), string(events.RoomEnded), string(events.RoomUpdated), string(events.RoomHidden), string(events.RoomShown)}
}

// A Notification is what is told to one target because of one rule. It is kept
// as JSON while it waits.
type Notification struct {
	ID        string        `json:"id"`   // at every attempt the same; webhook-id
	Type      string        `json:"type"` // of the event, Milestone, WatchStopped, WatchResumed or Summary
	Rule      string        `json:"rule"`
	Target    string        `json:"target"`
	Test      bool          `json:"test,omitzero"`
	Milestone int64         `json:"milestone,omitzero"` // the count, in a Milestone
	Event     *events.Event `json:"event,omitzero"`     // nil in a Summary, and where Watch is not
	Watch     *Watch        `json:"watch,omitzero"`
	Digest    *Digest       `json:"digest,omitzero"`
}

// A Digest tells together what was held back.
type Digest struct {
	Since  time.Time      `json:"since"`  // the first was held back
	Until  time.Time      `json:"until"`  // the last
	Total  int            `json:"total"`  // notifications
	Counts map[string]int `json:"counts"` // by type
	Items  []Notification `json:"items"`  // of all in the generic form, of the first in others
}

// New returns the notification of an event; milestone is 0, or the count that was crossed.
func New(e events.Event, rule, target string, milestone int64) Notification {
	n := Notification{ID: ID(e.ID, rule, target, milestone), Type: string(e.Type), Rule: rule, Target: target, Event: &e}
	if milestone > 0 {
		n.Type, n.Milestone = Milestone, milestone
	}
	return n
}

// NewDigest returns the notification of a digest; last is the sequence number of its last
// item, so that another digest has another id.
func NewDigest(d Digest, rule, target string, last uint64) Notification {
	id := fmt.Sprintf("%s_%s_%d", d.Items[0].ID, Summary, last)
	return Notification{ID: id, Type: Summary, Rule: rule, Target: target, Digest: &d}
}

// ID returns the id of a notification. It has no dots, as Standard Webhooks
// wants it, and says what it is about. Names of rules and targets have no _.
func ID(event, rule, target string, milestone int64) string {
	id := strings.Join([]string{event, target, rule}, "_")
	if milestone > 0 {
		id = fmt.Sprintf("%s_%d", id, milestone)
	}
	return id
}

// Time returns when what is told happened.
func (n Notification) Time() time.Time {
	if n.Event != nil {
		return n.Event.Time
	}
	if n.Digest != nil {
		return n.Digest.Until
	}
	if w := n.Watch; w != nil && !w.Until.IsZero() {
		return w.Until
	} else if w != nil {
		return w.Since
	}
	return time.Time{} // unreachable: it has one of them
}
