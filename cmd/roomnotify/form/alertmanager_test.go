package form_test

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"time"

	"roomwatch/cmd/roomnotify/form"
	"roomwatch/publisher/events"
)

type alert struct {
	Labels, Annotations map[string]string
	StartsAt, EndsAt    time.Time
	GeneratorURL        string
}

func alertsOf(t *testing.T, n form.Notification) []alert {
	t.Helper()
	to := form.Target{Kind: "alertmanager", URL: "https://am.example/prefix/", Alert: form.Alert{Labels: map[string]string{"team": "live"}, RuleLabels: map[string]map[string]string{"vip": {"team": "vip", "severity": "page"}}, GeneratorURL: "https://rooms.example", EndsAfter: 24 * time.Hour}}
	req, err := to.Request(t.Context(), n, now)
	if err != nil {
		t.Fatal(err)
	}
	if req.URL.String() != "https://am.example/prefix/api/v2/alerts" {
		t.Errorf("it is sent to %s", req.URL)
	}
	_, raw := body(t, to, n)
	var list []alert
	if err := json.Unmarshal(raw, &list); err != nil {
		t.Fatalf("%v: %s", err, raw)
	}
	return list
}

// The start of a room is an alert that ends far ahead; its end is the same alert, and
// is over. What happens to the room between prolongs it.
func TestAlerts(t *testing.T) {
	created := alertsOf(t, form.New(event(events.RoomCreated, "Heidi"), "r", "a", 0))[0]
	updated := alertsOf(t, form.New(event(events.RoomUpdated, "Anna"), "r", "a", 0))[0]
	ended := event(events.RoomEnded, "Anna")
	ended.Time = now.Add(time.Hour)
	over := alertsOf(t, form.New(ended, "r", "a", 0))[0]
	for _, a := range []alert{created, updated, over} {
		if want := map[string]string{"alertname": "RoomLive", "app": "88888888", "room": "room.1", "rule": "r", "team": "live"}; !maps.Equal(a.Labels, want) {
			t.Errorf("labels %v, want %v", a.Labels, want)
		}
		if began := time.Unix(now.Unix()-3725, 0); !a.StartsAt.Equal(began) || a.GeneratorURL != "https://rooms.example" {
			t.Errorf("begins at %s, want %s; %s", a.StartsAt, began, a.GeneratorURL)
		}
	}
	if !created.EndsAt.Equal(now.Add(24*time.Hour)) || !over.EndsAt.Equal(ended.Time) {
		t.Errorf("the start ends at %s, the end at %s", created.EndsAt, over.EndsAt)
	}
	if a := created.Annotations; a["summary"] != "New room: Heidi" || !strings.HasPrefix(a["description"], "Owner: bren\nViews: 1,000\n") {
		t.Errorf("annotations %q", a)
	}
	test := form.New(event(events.RoomCreated, "Heidi"), "r", "a", 0)
	test.Test = true
	if a := alertsOf(t, test)[0]; !a.EndsAt.Equal(now.Add(5*time.Minute)) || a.Annotations["summary"] != "[test] New room: Heidi" {
		t.Errorf("a test ends at %s: %v", a.EndsAt, a.Annotations)
	}
}

// A rule's labels are those of its rooms alone, go before the target's, and are the
// same at the start and at the end, in a digest and in a test; the test of an end is over.
func TestAlertLabelsOfARule(t *testing.T) {
	began, ended := form.New(event(events.RoomCreated, "Heidi"), "vip", "a", 0), form.New(event(events.RoomEnded, "Heidi"), "vip", "a", 0)
	test := ended
	test.Test = true
	other := event(events.RoomCreated, "Anna")
	other.Data.Room.RoomID = "other"
	digest := form.NewDigest(form.Digest{Total: 2, Counts: map[string]int{}, Items: []form.Notification{began, form.New(other, "r", "a", 0)}}, "vip", "a", 7)
	want := map[string]string{"alertname": "RoomLive", "app": "88888888", "room": "room.1", "rule": "vip", "team": "vip", "severity": "page"}
	for _, n := range []form.Notification{began, ended, test, digest} {
		if a := alertsOf(t, n)[0]; !maps.Equal(a.Labels, want) || a.EndsAt.Equal(now) != (n.Type == "room.ended") {
			t.Errorf("%s: until %s: labels %v, want %v", n.Type, a.EndsAt, a.Labels, want)
		}
	}
	if a := alertsOf(t, digest)[1]; a.Labels["team"] != "live" || a.Labels["severity"] != "" {
		t.Errorf("of another rule: %v", a.Labels)
	}
}

// No room is another's alert, whatever it is called, and no alert begins after its end.
func TestAlertsOfOddRooms(t *testing.T) {
	seen := map[string]string{}
	for _, id := range []string{"a", "a\u200b", "a b", "a  b", strings.Repeat("x", 64), strings.Repeat("x", 65), strings.Repeat("x", 66), strings.Repeat("長", 64) + "y"} {
		e := event(events.RoomEnded, "")
		e.Data.Room.RoomID, e.Data.Room.CreateTime = id, now.Unix()+60
		a := alertsOf(t, form.New(e, "r", "a", 0))[0]
		if other, twice := seen[a.Labels["room"]]; twice || len(a.Labels["room"]) > 200 {
			t.Errorf("%q has the label %q, as %q has", id, a.Labels["room"], other)
		}
		seen[a.Labels["room"]] = id
		if a.StartsAt.After(a.EndsAt) {
			t.Errorf("it begins at %s, and ends at %s", a.StartsAt, a.EndsAt)
		}
	}
}

// Of a digest each room is one alert, as its newest event has it.
func TestAlertsOfADigest(t *testing.T) {
	of := func(kind events.Type, room string) form.Notification {
		e := event(kind, room)
		e.Data.Room.RoomID = room
		return form.New(e, "r", "a", 0)
	}
	d := form.Digest{Total: 3, Counts: map[string]int{}, Items: []form.Notification{of(events.RoomCreated, "a"), of(events.RoomCreated, "b"), of(events.RoomEnded, "a")}}
	list := alertsOf(t, form.NewDigest(d, "r", "a", 7))
	if len(list) != 2 || list[0].Labels["room"] != "b" || list[1].Labels["room"] != "a" || !list[1].EndsAt.Equal(now) || list[0].EndsAt.Equal(now) {
		t.Errorf("%+v", list)
	}
}

// That nobody watches is an alert of its own, resolved when somebody does again.
func TestAlertOfTheWatch(t *testing.T) {
	w := form.Watch{App: 7, Since: now.Add(-time.Hour), Why: form.Silent}
	stopped := alertsOf(t, form.NewWatch(w, "r", "a", now))[0]
	w.Until = now
	resumed := alertsOf(t, form.NewWatch(w, "r", "a", now))[0]
	want := map[string]string{"alertname": "NobodyWatches", "app": "7", "rule": "r", "team": "live"}
	if !maps.Equal(stopped.Labels, want) || !maps.Equal(resumed.Labels, want) {
		t.Errorf("labels %v and %v, want %v", stopped.Labels, resumed.Labels, want)
	}
	if !stopped.StartsAt.Equal(w.Since) || !stopped.EndsAt.Equal(w.Since.Add(24*time.Hour)) || !resumed.EndsAt.Equal(now) {
		t.Errorf("%+v, %+v", stopped, resumed)
	}
}
