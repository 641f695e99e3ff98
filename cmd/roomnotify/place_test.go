package main

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/diff/logtest"
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

// A stream of events that is recreated is read from its beginning, with a warning.
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
		if log := r.log.String(); !strings.Contains(log, "stream was recreated") {
			t.Errorf("the log does not tell of it:\n%s", log)
		}
		stop()
	})
}

// The store that is removed while roomnotify runs is recreated, and what comes is told.
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
		if log := r.log.String(); !strings.Contains(log, "stream was removed and is recreated") {
			t.Errorf("the log does not tell of it:\n%s", log)
		}
		stop()
	})
}

// So is one that is removed between two starts: the next start says what is gone and
// what to do, and each target goes on where it was. A first start has lost nothing.
func TestStoreRemovedWhileStopped(t *testing.T) {
	inBubble(t, "targets:\n"+hook("a", "")+hook("new", "")+"rules:\n  r: {"+all+", targets: [a]}\n", func(r *rig) {
		const says = "stream was removed and is recreated: what was held back, waited or was dead in it is gone"
		stop := r.start()
		r.put("x")
		r.takes("a", "x created")
		r.acked()
		stop()
		if log := r.log.String(); strings.Contains(log, says) {
			t.Errorf("the first start tells of a loss:\n%s", log)
		}
		if err := r.js.DeleteStream(r.t.Context(), "NOTIFY"); err != nil {
			t.Fatal(err)
		}
		r.put("y")
		stop = r.start()
		r.put("z")
		r.takes("a", "x created", "y created", "z created")
		stop()
		if log := r.log.String(); strings.Count(log, says) != 1 || !strings.Contains(log, "stream=NOTIFY") || !strings.Contains(log, "roomnotify test --since") {
			t.Errorf("the log does not tell of it:\n%s", log)
		}
		stop = r.start() // it is there
		stop()
		if log := r.log.String(); strings.Count(log, says) != 1 {
			t.Errorf("the log tells of it again:\n%s", log)
		}
	})
}

// A second roomnotify of the same name takes nothing from the first, says who that
// is and how to fix it, and continues when it is stopped.
func TestSecondStandsBy(t *testing.T) {
	inBubble(t, "targets:\n"+hook("a", "")+"rules:\n  r: {"+all+", targets: [a]}\n  s: {"+all+", limit: 1, targets: [a]}\n", func(r *rig) {
		first := r.start()
		time.Sleep(10 * time.Second)
		log := r.log
		r.log = &logtest.Buffer{}
		second := r.start()
		for range 60 {
			r.put("x", "-x")
			time.Sleep(2 * time.Second)
		}
		host, err := os.Hostname()
		if err != nil {
			t.Fatal(err)
		}
		const says = `msg="another roomnotify runs with this name: standing by"`
		if got := r.log.String(); strings.Count(got, says) != 1 || !strings.Contains(got, "host="+host+" instance=0") || !strings.Contains(got, "since=2000-01-01T00:00:00.") || !strings.Contains(got, "set ROOMNOTIFY_NAME") {
			t.Errorf("the second says:\n%s", got)
		}
		if got := log.String(); strings.Contains(got, "another") || strings.Contains(got, "delivered before") {
			t.Errorf("the first is disturbed:\n%s", got)
		}
		r.acked()
		ids := map[string]int{}
		for _, q := range r.to.requests("") {
			if ids[q.id]++; ids[q.id] > 1 {
				t.Errorf("%s is told twice", q.id)
			}
		}
		first()
		r.put("last")
		began := time.Now()
		r.until("the second tells it", func() bool { return strings.Contains(r.to.taken(t, ""), "last created") })
		if waited := time.Since(began); waited > time.Minute {
			t.Errorf("told after %s", waited)
		}
		if !strings.Contains(r.log.String(), "the other roomnotify has stopped") {
			t.Errorf("the second says:\n%s", r.log)
		}
		second()
	})
}

// Two that begin at the same moment come to terms.
func TestTwoBeginAtOnce(t *testing.T) {
	inBubble(t, "targets:\n"+hook("a", "")+"rules:\n  r: {"+all+", targets: [a]}\n", func(r *rig) {
		first := r.start()
		second := r.start()
		for range 30 {
			r.put("x", "-x")
			time.Sleep(4 * time.Second)
		}
		r.put("last")
		r.until("it is told", func() bool { return strings.Contains(r.to.taken(t, ""), "last created") })
		r.acked()
		first()
		r.put("more")
		r.until("the other tells it", func() bool { return strings.Contains(r.to.taken(t, ""), "more created") })
		second()
	})
}
