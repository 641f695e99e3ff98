package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"roomwatch/publisher/events"
)

// later publishes an event as a version to come could: with fields and evidence that this
// one does not know, and of another type where typ is not empty.
func (r *rig) later(e events.Event, typ string) {
	r.t.Helper()
	body, err := events.Encode(e)
	if err != nil {
		r.t.Fatal(err)
	}
	text := strings.NewReplacer(`"specversion"`, `"severity":"low","specversion"`, `"RoomName"`, `"Mood":{"is":["good"]},"RoomName"`,
		`"sweep"`, `"evidence":{"by":"oracle","requests":["q"],"weights":{"a":[1]}},"region":null,"sweep"`).Replace(string(body))
	subject := events.SubjectOf("live", e)
	if typ != "" {
		subject = strings.Replace(subject, string(e.Type), typ, 1)
		text = strings.Replace(text, `"type":"`+string(e.Type)+`"`, `"type":"`+typ+`"`, 1)
	}
	m := nats.NewMsg(subject)
	m.Data = []byte(text)
	m.Header.Set(nats.MsgIdHdr, e.ID)
	if _, err := r.js.PublishMsg(r.t.Context(), m); err != nil {
		r.t.Fatal(err)
	}
	time.Sleep(50 * time.Millisecond) // rooms are told beside each other; these shall come in order
}

// The stream of a later version: what rules name is told, whatever else is in it; what they
// cannot name is passed over, and nothing is parked.
func TestEventsOfALaterVersion(t *testing.T) {
	inBubble(t, "targets:\n"+hook("a", "")+"rules:\n  r: {"+all+", milestones: [10], targets: [a]}\n  w: {watch: true, targets: [a]}\n", func(r *rig) {
		stop := r.start()
		alive := func() {
			r.say(events.WatchAlive, 88888888, map[string]any{
				"specversion": "1.0", "id": fmt.Sprint(time.Now().UnixNano()), "source": "/live/88888888", "type": events.WatchAlive, "severity": "low",
				"time": time.Now().UTC(), "data": map[string]any{"watching": true, "until": time.Now().UTC(), "mood": map[string]any{"is": "good"}},
			})
		}
		alive()
		r.later(r.next("a"), "")
		r.later(r.next("a"), "room.something")
		r.say("watch.something", 88888888, map[string]any{"type": "watch.something", "data": []int{1}})
		r.later(r.next("a=12"), "")
		alive()
		r.later(r.next("-a"), "")
		r.takes("a", "a created", "a 10", "a ended")
		if body := r.to.requests("a.example")[0].body; !strings.Contains(body, `"by":"oracle"`) {
			t.Errorf("the evidence is not passed on: %s", body)
		}
		stop()
		if stored := r.subjects(); strings.Contains(stored, "parked") || strings.Contains(stored, "dead") || strings.Contains(r.log.String(), "level=ERROR") {
			t.Errorf("%s\n%s", stored, r.log)
		}
	})
}
