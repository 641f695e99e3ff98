package poller

import (
	"testing"
	"testing/synctest"
	"time"
)

// The rows of an answer are held against its own Date, not against our clock.
func TestDateOfAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, func(call) (int, string) { return 200, ok("", "a@1=0", "b@2000000000=0") })
		s.date = time.Unix(1_900_000_000, 0)
		sink := &recorder{}
		stop := start(t, s.newPoller(t, Config{}), sink)
		time.Sleep(5 * time.Second)
		stop()
		if len(sink.pages) == 0 || len(sink.pages[0].Rooms) != 1 || sink.pages[0].Rooms[0].RoomID != "a" || sink.ended()[0].Complete {
			t.Errorf("pages %+v, want room a alone, and a sweep that is not complete", sink.pages)
		}
	})
}
