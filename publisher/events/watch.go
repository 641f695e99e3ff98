package events

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// The types of messages that tell of the watch. They are no events of a room: they have
// no sequence, and subjects of four tokens, <prefix>.<type>.<sdkappid>.
const (
	WatchAlive   Type = "watch.alive"
	WatchResumed Type = "watch.resumed"
)

// PulseEvery is how often the writer tells that it watches. Whoever has heard no
// [Alive] for three times as long may take it that nobody watches, or that the writer
// does not reach the stream.
const PulseEvery = time.Minute

// ErrWatch means that a message tells of the watch: [DecodeAlive] and [DecodeResumed]
// read it.
var ErrWatch = errors.New("it is about the watch, not about a room")

// An About is what the messages of the watch have in common: a CloudEvents 1.0 event
// without its data.
type About struct {
	SpecVersion     string    `json:"specversion"`
	ID              string    `json:"id"`
	Source          string    `json:"source"` // /live/<sdkappid>
	Type            Type      `json:"type"`
	Subject         string    `json:"subject,omitzero"` // the instance of the writer, as in its claim
	Time            time.Time `json:"time"`
	DataContentType string    `json:"datacontenttype"`
	DataSchema      string    `json:"dataschema,omitzero"`
}

// App returns the SDKAppID of the application that is watched.
func (a About) App() int {
	app, _ := appOf(a.Source)
	return app
}

// An Alive says that the writer runs and reaches the stream. It comes once a minute.
type Alive struct {
	About
	Data AliveData `json:"data"`
}

// AliveData says how the watch is doing.
type AliveData struct {
	// Watching is false if no sweep was complete for more than two minutes and two
	// sweeps: the writer runs, and the service does not let it read the list.
	Watching bool      `json:"watching"`
	Until    time.Time `json:"watched_until,omitzero"` // the list was watched up to then, by this writer or one before it
	Sweep    *Sweep    `json:"sweep,omitzero"`         // the newest complete one; nil: none since the state was made
	Rooms    uint64    `json:"rooms"`                  // known to be live
	Missing  uint64    `json:"missing"`                // of them: the newest complete sweeps did not show them
	Hidden   uint64    `json:"hidden"`                 // of them: the list does not show them
	Waiting  uint64    `json:"waiting"`                // events that the stream does not have yet
	Recall   *float64  `json:"recall,omitzero"`        // what share of the live rooms a sweep shows; nil: not measured yet
}

// A Sweep is one reading of the list that came to its end.
type Sweep struct {
	Number uint64    `json:"number"`
	Begin  time.Time `json:"begin"`
	End    time.Time `json:"end"`
	Rooms  uint64    `json:"rooms"` // that it showed
}

// A Resumed tells of a gap: nobody had watched for more than two minutes and two sweeps.
// Rooms that began and ended in it are not known.
type Resumed struct {
	About
	Data ResumedData `json:"data"`
}

// ResumedData is the gap. No two gaps of an application overlap.
type ResumedData struct {
	From time.Time `json:"from"` // when the newest complete sweep before it had ended
	To   time.Time `json:"to"`   // when the sweep began that ended it
	Why  string    `json:"why"`  // stopped, standby or unreachable: what took the longest part of it
}

// DecodeAlive returns the [Alive] in the body of a message.
func DecodeAlive(body []byte) (Alive, error) {
	var a Alive
	if err := decodeWatch(body, WatchAlive, &a, &a.About); err != nil {
		return Alive{}, err
	}
	return a, nil
}

// DecodeResumed returns the [Resumed] in the body of a message.
func DecodeResumed(body []byte) (Resumed, error) {
	var r Resumed
	if err := decodeWatch(body, WatchResumed, &r, &r.About); err != nil {
		return Resumed{}, err
	}
	if list := r.problems(); len(list) > 0 {
		return Resumed{}, fmt.Errorf("decode %q: %w: %w", r.ID, ErrNotEvent, list)
	}
	return r, nil
}

func decodeWatch(body []byte, typ Type, into any, about *About) error {
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("decode %s: %w: %w", typ, ErrNotEvent, err)
	}
	if list := about.problems(typ); len(list) > 0 {
		return fmt.Errorf("decode %q: %w: %w", about.ID, ErrNotEvent, list)
	}
	return nil
}

func (a About) problems(typ Type) (list problems) {
	if a.SpecVersion != "1.0" {
		list = append(list, fmt.Errorf("specversion is %q, want 1.0", a.SpecVersion))
	}
	if a.Type != typ {
		list = append(list, fmt.Errorf("type is %q, want %s", a.Type, typ))
	}
	if a.ID == "" || a.Time.IsZero() {
		list = append(list, errors.New("id or time is missing"))
	}
	if _, err := appOf(a.Source); err != nil {
		list = append(list, err)
	}
	return list
}

func (r Resumed) problems() (list problems) {
	d := r.Data
	if !d.From.Before(d.To) {
		list = append(list, fmt.Errorf("from %s is not before to %s", d.From.Format(wireTime), d.To.Format(wireTime)))
	}
	if want := "resumed-" + d.From.UTC().Format(wireTime); r.ID != want {
		list = append(list, fmt.Errorf("id is %q, want %s", r.ID, want))
	}
	if d.Why == "" {
		list = append(list, errors.New("data.why is missing"))
	}
	return list
}

// isWatch reports whether a type is one of the watch, also one that a later version has.
func isWatch(t Type) bool { return strings.HasPrefix(string(t), "watch.") }

// WatchFilters returns the subject filters that match what is told of the watch of an
// application; 0 stands for all.
func WatchFilters(prefix string, app int) []string {
	apps := "*"
	if app != 0 {
		apps = strconv.Itoa(app)
	}
	return []string{
		strings.Join([]string{prefix, string(WatchAlive), apps}, "."),
		strings.Join([]string{prefix, string(WatchResumed), apps}, "."),
	}
}
