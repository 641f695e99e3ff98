package main

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// A durable that somebody removes, while roomnotify runs or between two starts,
// costs no event and ends nothing.
func TestDurableRemoved(t *testing.T) {
	inBubble(t, "targets:\n"+hook("a", "")+hook("b", "")+"rules:\n  r: {"+all+", targets: [a, b]}\n", func(r *rig) {
		r.put("old")
		stop := r.start()
		r.put("x")
		r.takes("a", "x created")
		if err := r.js.DeleteConsumer(r.t.Context(), "LIVE", "notify-a"); err != nil {
			t.Fatal(err)
		}
		r.put("y")
		r.takes("a", "x created", "y created")
		r.takes("b", "x created", "y created")
		stop()
		if err := r.js.DeleteConsumer(r.t.Context(), "LIVE", "notify-a"); err != nil {
			t.Fatal(err)
		}
		r.put("z")
		stop = r.start()
		r.put("w")
		r.takes("a", "x created", "y created", "z created", "w created")
		if log := r.log.String(); strings.Count(log, "durable was removed") != 2 {
			t.Errorf("the log does not tell of it:\n%s", log)
		}
		stop()
	})
}

// A stream of events that is made anew is read from its beginning, with a warning.
func TestEventsMadeAnew(t *testing.T) {
	inBubble(t, "targets:\n"+hook("a", "")+"rules:\n  r: {"+all+", targets: [a]}\n", func(r *rig) {
		stop := r.start()
		r.put("x", "y")
		r.takes("a", "x created", "y created")
		if err := r.js.DeleteStream(r.t.Context(), "LIVE"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if _, err := r.js.CreateStream(r.t.Context(), jetstream.StreamConfig{Name: "LIVE", Subjects: []string{"live.>"}}); err != nil {
			t.Fatal(err)
		}
		r.put("z")
		r.takes("a", "x created", "y created", "z created")
		if log := r.log.String(); !strings.Contains(log, "stream was made anew") {
			t.Errorf("the log does not tell of it:\n%s", log)
		}
		stop()
	})
}

// The store that is removed while roomnotify runs is made anew, and what comes is told.
func TestStoreRemoved(t *testing.T) {
	inBubble(t, "targets:\n"+hook("a", "")+"rules:\n  r: {"+all+", limit: 1, targets: [a]}\n", func(r *rig) {
		stop := r.start()
		r.put("x")
		r.takes("a", "x created")
		if err := r.js.DeleteStream(r.t.Context(), "NOTIFY"); err != nil {
			t.Fatal(err)
		}
		r.put("y") // one at a time: the clock of a bubble stands still for a mutex
		r.takes("a", "x created", "y created")
		if log := r.log.String(); !strings.Contains(log, "stream was removed and is made anew") {
			t.Errorf("the log does not tell of it:\n%s", log)
		}
		stop()
	})
}

// A second roomnotify of the same name does not end the first: when it is
// stopped, the first goes on, and says meanwhile what is wrong.
func TestSecondDoesNotEndTheFirst(t *testing.T) {
	inBubble(t, "targets:\n"+hook("a", "")+"rules:\n  r: {"+all+", targets: [a]}\n", func(r *rig) {
		first := r.start()
		second := r.start()
		for range 60 {
			r.put("x", "-x")
			time.Sleep(2 * time.Second)
		}
		r.until("one of them says so", func() bool { return strings.Contains(r.log.String(), "another roomnotify runs with this name") })
		second()
		time.Sleep(2 * time.Minute)
		r.put("last")
		r.until("the first tells it", func() bool { return strings.HasSuffix(r.to.taken(t, ""), "last created") })
		first()
	})
}
