package publisher

import (
	"fmt"
	"time"

	"github.com/oklog/ulid/v2"

	"roomwatch/diff"
)

// Types of the messages that tell of the watch. They are CloudEvents without a sequence.
const (
	aliveType   = "watch.alive"
	resumedType = "watch.resumed"
)

// subjectOf returns where the writer tells of itself.
func (p *Publisher) subjectOf(typ string) string {
	return fmt.Sprintf("%s.%s.%d", p.stream.Prefix, typ, p.app)
}

// aliveData is the data of watch.alive.
type aliveData struct {
	Watching bool      `json:"watching"`
	Until    string    `json:"watched_until,omitzero"`
	Sweep    *sweepEnd `json:"sweep,omitzero"`
	Rooms    uint64    `json:"rooms"`
	Missing  uint64    `json:"missing"`
	Hidden   uint64    `json:"hidden"`
	Waiting  uint64    `json:"waiting"`
	Recall   *float64  `json:"recall,omitzero"`
}

type sweepEnd struct {
	Number uint64 `json:"number"`
	Begin  string `json:"begin"`
	End    string `json:"end"`
	Rooms  uint64 `json:"rooms"`
}

// resumedData is the data of watch.resumed.
type resumedData struct {
	From string `json:"from"`
	To   string `json:"to"`
	Why  why    `json:"why"`
}

// A why says why nobody watched: what took the longest part of the gap.
type why string

const (
	stopped     why = "stopped"     // no process ran
	standby     why = "standby"     // this process ran, and was not the one that asks the service
	unreachable why = "unreachable" // the service did not answer, or not to the end of its list
)

func onWire(t time.Time) string { return t.UTC().Format(wireTime) }

func (p *Pulse) alive(d diff.Pulse) ([]byte, string, error) {
	data := aliveData{Watching: d.Watching, Rooms: d.Rooms, Missing: d.Missing, Hidden: d.Hidden, Waiting: d.Waiting, Recall: d.Recall}
	if !d.Until.IsZero() {
		data.Until = onWire(d.Until)
	}
	if c := d.Sweep; c != nil {
		data.Sweep = &sweepEnd{Number: c.Number, Begin: onWire(c.Begin), End: onWire(c.End), Rooms: c.Rooms}
	}
	id := ulid.Make().String()
	body, err := marshal(told(p.pub, aliveType, id, data))
	return body, id, err
}

func (p *Pulse) resumed(g diff.Gap) ([]byte, string, error) {
	data := resumedData{From: onWire(g.From), To: onWire(g.To), Why: p.why(g)}
	id := "resumed-" + data.From
	body, err := marshal(told(p.pub, resumedType, id, data))
	return body, id, err
}

// told is the envelope of what the writer tells of itself.
func told[T any](p *Publisher, typ, id string, data T) envelope[T] {
	return envelope[T]{
		SpecVersion: "1.0", ID: id, Source: source(p.app), Type: typ, Subject: p.me.Instance,
		Time: onWire(time.Now()), DataContentType: "application/json", DataSchema: dataSchema(typ), Data: data,
	}
}
