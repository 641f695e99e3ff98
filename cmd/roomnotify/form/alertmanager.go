package form

import (
	"maps"
	"strconv"
	"time"

	"roomwatch/publisher/events"
)

// An Alert says how a room is an alert of Alertmanager.
type Alert struct {
	Labels       map[string]string            // besides room, app and rule; alertname is RoomLive if it is not among them
	RuleLabels   map[string]map[string]string // the same of each rule, which has the last word
	GeneratorURL string
	EndsAfter    time.Duration // after its newest event a room that has not ended is resolved all the same
}

// AlertLabels are the labels that a rule file cannot set: with them, and those that
// it sets, the start and the end of a room are one alert.
func AlertLabels() []string { return []string{"app", "room", "rule"} }

const (
	maxLabel    = 200             // bytes of a label
	testAlert   = 5 * time.Minute // how long an example lasts
	alertName   = "RoomLive"
	watchAlert  = "NobodyWatches"
	alertLayout = "2006-01-02T15:04:05.000Z07:00"
)

// alerts returns what Alertmanager is posted: an alert for each room. Alertmanager
// resolves what it does not hear of again after its resolve_timeout, unless the alert
// says when it ends: so a start says that it ends far ahead, and each event of the
// room says so anew. In a digest the newest event of a room counts.
func (t Target) alerts(n Notification) []object {
	items := []Notification{n}
	if n.Digest != nil {
		items = n.Digest.Items
	}
	newest := map[string]int{}
	for i, item := range items {
		newest[item.key()] = i
	}
	var list []object
	for i, item := range items {
		if newest[item.key()] == i {
			list = append(list, t.alert(item, n.Test))
		}
	}
	return list
}

func (t Target) alert(n Notification, test bool) object {
	labels := map[string]string{"alertname": alertName}
	maps.Copy(labels, t.Alert.Labels)
	maps.Copy(labels, t.Alert.RuleLabels[n.Rule])
	labels["app"], labels["rule"] = strconv.Itoa(n.app()), n.Rule
	at := n.Time()
	starts, over := at, n.Type == WatchResumed
	if n.Watch != nil {
		labels["alertname"], starts = watchAlert, n.Watch.Since
	} else {
		room := n.Event.Data.Room
		if labels["room"] = Clean(room.RoomID, maxOwner); len(labels["room"]) > maxLabel || labels["room"] != room.RoomID {
			labels["room"] = hashOf(room.RoomID) // so that two rooms are never one
		}
		if created := time.Unix(room.CreateTime, 0); room.CreateTime > 0 && created.Before(starts) {
			starts = created
		}
		over = n.Event.Type == events.RoomEnded
	}
	ends := at.Add(t.Alert.EndsAfter)
	switch {
	case over:
		ends = at
	case test:
		ends = at.Add(testAlert)
	}
	title, text := t.message(n).fit(4000, bytesIn, func(s string) string { return s })
	o := object{
		"labels": labels, "startsAt": starts.UTC().Format(alertLayout), "endsAt": ends.UTC().Format(alertLayout),
		"annotations": map[string]string{"summary": title, "description": text},
	}
	if t.Alert.GeneratorURL != "" {
		o["generatorURL"] = t.Alert.GeneratorURL
	}
	return o
}
