package publisher

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"

	"roomwatch/diff"
	subscribed "roomwatch/publisher/events"
)

// Subscribers have code of their own for what is encoded here: both must read
// and write the same bytes.
func TestSubscribersAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := drawEvent(t)
		e.Sweep = max(1, e.Sweep)
		e.Version = max(2, e.Version)
		if e.Type == diff.RoomCreated {
			e.Version = 1
		}
		if rapid.Bool().Draw(t, "traced") {
			e.Trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
		}
		body := Encode(1400000000, e)
		got, err := subscribed.Decode(body)
		if err != nil {
			t.Fatal(err)
		}
		again, err := subscribed.Encode(got)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(body, again) {
			t.Fatalf("published  %s\nsubscriber %s", body, again)
		}
		if a, b := Subject("live", e.Type, 1400000000, e.Room.RoomID), subscribed.SubjectOf("live", got); a != b {
			t.Fatalf("published on %s, subscriber says %s", a, b)
		}
		if epoch, seq := got.Position(); epoch+"-" != e.ID[:13] || seq != e.Seq {
			t.Fatalf("position %s %d of %s", epoch, seq, e.ID)
		}
	})
}
