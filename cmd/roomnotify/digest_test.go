package main

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"roomwatch/cmd/roomnotify/form"
)

// What is above the limit comes as one digest when the minute is over.
func TestLimitAndDigest(t *testing.T) {
	inBubble(t, "targets:\n"+hook("a", "")+"rules:\n  r: {"+all+", limit: 2, targets: [a]}\n", func(r *rig) {
		stop := r.start()
		began := time.Now()
		r.put("x1", "x2", "x3", "x4", "x5")
		r.takes("a", "x1 created", "x2 created", "digest x3,x4,x5")
		got := r.to.requests("")
		if waited := got[2].at.Sub(began); waited < 59*time.Second || waited > 63*time.Second {
			t.Errorf("the digest came after %s", waited)
		}
		r.acked()
		if s := r.subjects(); s != "" {
			t.Errorf("the store still has %q", s)
		}
		r.put("y1") // the second of this minute
		r.takes("a", "x1 created", "x2 created", "digest x3,x4,x5", "y1 created")
		r.put("y2") // held back alone
		r.takes("a", "x1 created", "x2 created", "digest x3,x4,x5", "y1 created", "y2 created")
		stop()
	})
}

// The limit of a target counts all its rules.
func TestLimitOfATarget(t *testing.T) {
	inBubble(t, "targets:\n"+hook("a", ", limit: 3")+"rules:\n  r: {"+all+", targets: [a]}\n  s: {"+all+", targets: [a]}\n", func(r *rig) {
		stop := r.start()
		r.put("x", "y", "z")
		time.Sleep(30 * time.Second)
		if n := len(r.to.requests("")); n != 3 {
			t.Errorf("%d notifications in a minute, want 3:\n%s", n, r.requests())
		}
		r.until("all were told", func() bool { return strings.Count(r.to.taken(t, ""), "z") == 2 })
		stop()
	})
}

// In quiet hours nothing is told, and when they are over one digest tells it,
// also by a roomnotify that was started meanwhile.
func TestQuietHours(t *testing.T) {
	inBubble(t, "targets:\n"+hook("a", "")+"rules:\n  r: {"+all+", quiet: {from: '08:00', to: '20:00', zone: Asia/Shanghai}, targets: [a]}\n", func(r *rig) {
		// The bubble's clock begins at midnight UTC, which is 08:00 there.
		stop := r.start()
		r.put("x")
		time.Sleep(5 * time.Hour)
		r.put("y", "-x")
		time.Sleep(time.Hour)
		stop()
		stop = r.start()
		time.Sleep(5 * time.Hour)
		if n := len(r.to.requests("")); n != 0 {
			t.Errorf("%d notifications in quiet hours", n)
		}
		r.takes("a", "digest x,y,x")
		if at := r.to.requests("")[0].at.UTC().Format("15:04"); at != "12:00" {
			t.Errorf("the digest came at %s UTC, want 12:00", at)
		}
		stop()
	})
}

// A digest that was sent by one who died before removing what it told comes
// again from the next with the same content and id, whatever came meanwhile.
func TestDigestAfterACrash(t *testing.T) {
	inBubble(t, "targets:\n"+hook("a", "")+"rules:\n  r: {"+all+", limit: 1, targets: [a]}\n", func(r *rig) {
		stop := r.start()
		// Its last moment: the request is answered by nobody.
		r.to.answers(func(w http.ResponseWriter, _ *http.Request) bool {
			if len(r.to.requests("")) == 0 {
				return false
			}
			time.Sleep(5 * time.Second)
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		})
		r.put("x1", "x2", "x3")
		r.until("the digest is on its way", func() bool { return len(r.to.requests("")) > 1 })
		stop()
		r.put("x4")
		before := r.to.requests("")[1].id
		r.to.answers(nil)
		stop = r.start()
		r.takes("a", "x1 created", "digest x2,x3", "x4 created")
		if got := r.to.requests(""); got[len(got)-2].id != before {
			t.Errorf("the digest has id %s, and had %s", got[len(got)-2].id, before)
		}
		stop()
	})
}

// A chat gets a digest of any size as one message that counts.
func TestDigestForAChat(t *testing.T) {
	inBubble(t, "targets:\n  a: {kind: discord, url: \"${A}\", limit: 1}\nrules:\n  r: {"+all+", targets: [a]}\n", func(r *rig) {
		stop := r.start()
		for i := range 130 {
			r.put(fmt.Sprintf("x%d", i))
		}
		r.until("a digest comes", func() bool { return len(r.to.requests("")) == 2 })
		if body := r.to.requests("")[1].body; !strings.Contains(body, "129 new rooms") || !strings.Contains(body, "… and 119 more") {
			t.Errorf("the digest is %s", body)
		}
		stop()
	})
}

// Alertmanager is told of each room of a digest: none that is left out could be resolved.
func TestDigestForAlertmanager(t *testing.T) {
	inBubble(t, "targets:\n  a: {kind: alertmanager, url: \"${A}\", limit: 1}\nrules:\n  r: {"+all+", targets: [a]}\n", func(r *rig) {
		stop := r.start()
		for i := range 30 {
			r.put(fmt.Sprintf("x%d", i))
		}
		r.until("a digest comes", func() bool { return len(r.to.requests("")) == 2 })
		if n := strings.Count(r.to.requests("")[1].body, `"startsAt"`); n != 29 {
			t.Errorf("the digest has %d alerts, want 29", n)
		}
		stop()
	})
}

// What waited for a target that was down comes within its limit: the first as
// they are, and the rest as a digest.
func TestLimitAfterAnOutage(t *testing.T) {
	inBubble(t, "targets:\n"+hook("a", ", limit: 2, tries: 2")+"rules:\n  r: {"+all+", targets: [a]}\n", func(r *rig) {
		stop := r.start()
		r.to.answers(with(502))
		r.put("x1")
		r.until("it is down", func() bool { return strings.Contains(r.log.String(), "target down") })
		r.put("x2", "x3", "x4", "x5", "x6")
		r.acked()
		time.Sleep(30 * time.Minute)
		r.to.answers(nil)
		r.takes("a", "x1 created", "x2 created", "x3 created", "digest x4,x5,x6")
		if s := r.subjects(); s != "" {
			t.Errorf("the store still has %q", s)
		}
		stop()
	})
}

// While NATS is away nothing is lost, and nothing ends.
func TestNATSAway(t *testing.T) {
	inBubble(t, "targets:\n"+hook("a", "")+"rules:\n  r: {"+all+", limit: 1, targets: [a]}\n", func(r *rig) {
		stop := r.start()
		r.put("x1", "x2", "x3")
		r.takes("a", "x1 created")
		r.srv.Down()
		time.Sleep(2 * time.Minute)
		r.srv.Up()
		r.takes("a", "x1 created", "digest x2,x3")
		r.until("events can be published", func() bool { _, err := r.js.Stream(r.t.Context(), "LIVE"); return err == nil })
		time.Sleep(2 * time.Minute)
		r.put("y")
		r.takes("a", "x1 created", "digest x2,x3", "y created")
		stop()
	})
}

// What is stored by one who died before the event was acknowledged is not stored
// again by the next.
func TestKeptOnce(t *testing.T) {
	inBubble(t, "targets:\n"+hook("a", "")+"rules:\n  r: {"+all+", targets: [a]}\n", func(r *rig) {
		s, err := openStore(r.t.Context(), r.js, storeConfig{name: "notify", replicas: 1, maxAge: time.Hour}, true)
		if err != nil {
			t.Fatal(err)
		}
		n := form.New(r.next("x"), "r", "a", 0)
		for range 2 {
			_, err := s.wait(r.t.Context(), n, "x", 0)
			for _, err := range []error{err, s.hold(r.t.Context(), n, 0), s.setAside(r.t.Context(), n, "x", 0)} {
				if err != nil {
					t.Error(err)
				}
			}
		}
		if got, want := r.subjects(), "dead.a.r 1; held.a.r 1; waiting.a.r 1"; got != want {
			t.Errorf("the store has %q, want %q", got, want)
		}
	})
}

// A notification that comes back to where it was in the store, such as held, then
// waiting for a busy target, then held again, is not mistaken for a duplicate of
// its own first time there.
func TestKeptAgainIsNoDuplicate(t *testing.T) {
	inBubble(t, "targets:\n"+hook("a", "")+"rules:\n  r: {"+all+", limit: 1, targets: [a]}\n", func(r *rig) {
		stop := r.start()
		var busy atomic.Int32
		r.to.answers(func(w http.ResponseWriter, q *http.Request) bool {
			if !strings.Contains(q.Header.Get("webhook-id"), "-0000000000000002_") || busy.Add(1) > 3 {
				return false
			}
			w.Header().Set("Retry-After", "5")
			w.WriteHeader(http.StatusTooManyRequests)
			return true
		})
		r.put("x1", "x2")
		r.takes("a", "x1 created", "x2 created")
		if n := busy.Load(); n != 4 {
			t.Errorf("x2 was sent %d times, want 3 busy answers before it is taken", n)
		}
		r.acked()
		if s := r.subjects(); s != "" {
			t.Errorf("the store still has %q", s)
		}
		stop()
	})
}

// A letter that is refused when its target is up again is kept as refused, and
// those behind it are told.
func TestLetterRefused(t *testing.T) {
	inBubble(t, "targets:\n"+hook("a", ", tries: 1")+"rules:\n  r: {"+all+", targets: [a]}\n", func(r *rig) {
		stop := r.start()
		r.to.answers(with(500))
		r.put("x", "y", "z")
		r.until("all wait", func() bool { return r.subjects() == "waiting.a.r 3" })
		r.to.answers(func(w http.ResponseWriter, q *http.Request) bool {
			if strings.Contains(q.Header.Get("webhook-id"), "-0000000000000002_") {
				w.WriteHeader(http.StatusUnprocessableEntity)
				return true
			}
			return false
		})
		r.takes("a", "x created", "z created")
		if got, want := r.subjects(), "dead.a.r 1"; got != want {
			t.Errorf("the store has %q, want %q", got, want)
		}
		stop()
	})
}
