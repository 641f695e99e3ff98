package events_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"

	"roomwatch/publisher/events"
	"roomwatch/publisher/natstest"
)

// ofLater makes of a message what a version to come could write: fields and evidence that
// this one does not know, and another type where typ is not empty.
func ofLater(t *testing.T, m events.Message, typ string) events.Message {
	t.Helper()
	body := string(m.Body)
	for _, change := range [][2]string{
		{`"specversion"`, `"severity":"low","specversion"`},
		{`"RoomName"`, `"Mood":{"is":["good"]},"RoomName"`},
		{`"sweep"`, `"evidence":{"by":"oracle","requests":["q"],"weights":{"a":[1]}},"region":null,"sweep"`},
	} {
		if !strings.Contains(body, change[0]) {
			t.Fatalf("no %s in %s", change[0], body)
		}
		body = strings.Replace(body, change[0], change[1], 1)
	}
	if typ != "" {
		e, err := events.Decode(m.Body)
		if err != nil {
			t.Fatal(err)
		}
		body = strings.Replace(body, `"type":"`+string(e.Type)+`"`, `"type":"`+typ+`"`, 1)
		m.Subject = strings.Replace(m.Subject, string(e.Type), typ, 1)
	}
	m.Body = []byte(body)
	return m
}

// The stream of a later version: each event of a known type is handled with all that is
// known of it, the others are passed over and acknowledged, and none is parked or tried again.
func TestSubscribeToALaterVersion(t *testing.T) {
	natstest.Run(t, func(t *testing.T, srv *natstest.Server) {
		r := newRig(t, srv)
		parked := r.makeStream("PARKED", "parked")
		log, logged := logger()
		var mu sync.Mutex
		var got []string
		stop := r.subscribe(events.Options{Park: "parked", Log: log}, func(_ context.Context, e events.Event) error {
			mu.Lock()
			defer mu.Unlock()
			by := "nothing"
			if e.Data.Evidence != nil {
				by = e.Data.Evidence.By + " " + strings.Join(e.Data.Evidence.Requests, ",")
			}
			got = append(got, string(e.Type)+" "+name(e)+" by "+by)
			return nil
		})
		for i, typ := range []events.Type{events.RoomCreated, "room.something", events.ViewCountChanged, "poll.opened", events.RoomEnded} {
			e, other := event(r.epoch, uint64(i+1), typ, "a"), ""
			e.Data.Version = uint64(i + 1)
			if !slices.Contains(events.Types(), typ) {
				e.Type, other = events.RoomUpdated, string(typ)
			}
			r.publish(ofLater(t, message(t, 0, e), other))
		}
		until(t, "all is read", func() bool {
			c, err := r.js.Consumer(t.Context(), "LIVE", "test")
			return err == nil && c.CachedInfo().AckFloor.Stream == 5
		})
		if err := stop(); err != nil {
			t.Error(err)
		}
		want := "room.created a1 by oracle q; viewcount.changed a3 by oracle q; room.ended a5 by oracle q"
		if all := strings.Join(got, "; "); all != want {
			t.Errorf("handled %s\nwant %s\n%s", all, want, logged())
		}
		info, err := parked.Info(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if info.State.Msgs != 0 || strings.Contains(logged(), "level=ERROR") {
			t.Errorf("%d are parked:\n%s", info.State.Msgs, logged())
		}
	})
}
