package events_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"roomwatch/publisher/events"
	"roomwatch/publisher/natstest"
)

// What fails repeatedly, panics or is no event is parked with its reason,
// and then its room continues; while it cannot be parked it is kept.
func TestPark(t *testing.T) {
	natstest.Run(t, func(t *testing.T, srv *natstest.Server) {
		r := newRig(t, srv)
		w := &worker{fail: func(e events.Event) error {
			switch name(e) {
			case "a2":
				return errors.New("cannot\r\nbe")
			case "b1":
				panic("oh")
			}
			return nil
		}}
		stop := r.subscribe(events.Options{Park: "parked.test", Tries: 3}, w.handle)
		r.put("a", "a", "a", "b", "b", "c")
		r.publish(events.Message{Subject: "live.room.created.88888888.d", ID: "x", Body: []byte("hello")})
		r.put("d")
		time.Sleep(10 * time.Minute)
		if got := w.did(); len(got) != 2 {
			t.Errorf("done %v before anything could be parked, want a1 and c1", got)
		}
		if p, _ := r.pending(); p != 6 {
			t.Errorf("%d not acknowledged, want 6", p)
		}
		s := r.makeStream("PARKED", "parked.>")
		until(t, "the rest", func() bool { return len(w.did()) == 5 })
		if err := stop(); err != nil {
			t.Error(err)
		}
		if p, left := r.pending(); p != 0 || left != 0 {
			t.Errorf("%d not acknowledged, %d left", p, left)
		}
		var got []string
		for seq := range uint64(3) {
			m, err := s.GetMsg(t.Context(), seq+1)
			if err != nil {
				t.Fatal(err)
			}
			h := m.Header
			got = append(got, strings.Join([]string{
				h.Get(events.HeaderSubject), h.Get(events.HeaderSequence), h.Get(events.HeaderTries), h.Get(events.HeaderReason), h.Get("Content-Type"),
			}, "|"))
			if h.Get(events.HeaderSequence) == "7" && string(m.Data) != "hello" {
				t.Errorf("parked %q", m.Data)
			}
		}
		slices.Sort(got)
		want := []string{
			"live.room.created.88888888.b|4|3|handler panicked: oh|" + events.ContentType,
			"live.room.created.88888888.d|7|0|", // and why it cannot be decoded
			"live.viewcount.changed.88888888.a|2|3|cannot be|" + events.ContentType,
		}
		for i := range want {
			if !strings.HasPrefix(got[i], want[i]) {
				t.Errorf("parked %q, want %q", got[i], want[i])
			}
		}
	})
}

// The first message of a stream that was recreated has the number of another one
// that is parked: it is parked, too, and no duplicate of that.
func TestParkFromAStreamMadeAnew(t *testing.T) {
	natstest.Run(t, func(t *testing.T, srv *natstest.Server) {
		r := newRig(t, srv)
		s := r.makeStream("PARKED", "parked.>")
		stop := r.subscribe(events.Options{Park: "parked.test"}, (&worker{}).handle)
		parked := func(want string) func() bool {
			return func() bool {
				m, err := s.GetLastMsgForSubject(t.Context(), "parked.test")
				return err == nil && string(m.Data) == want
			}
		}
		r.publish(events.Message{Subject: "live.room.created.88888888.d", ID: "x", Body: []byte("one")})
		until(t, "the first is parked", parked("one"))
		if err := r.js.DeleteStream(t.Context(), "LIVE"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second) // the duplicate window of PARKED is two minutes
		r.makeStream("LIVE", "live.>")
		r.publish(events.Message{Subject: "live.room.created.88888888.d", ID: "y", Body: []byte("two")})
		until(t, "the second is parked", parked("two"))
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}
