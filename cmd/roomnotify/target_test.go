package main

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

const all = "events: [room.created, room.ended]"

// Each target gets what its rules say, once, with an id that says what it is.
func TestTells(t *testing.T) {
	file := "targets:\n" + hook("a", "") + hook("b", "") + "rules:\n  all: {" + all + ", targets: [a, b]}\n  only: {events: [room.ended], targets: [b]}\n"
	inBubble(t, file, func(r *rig) {
		stop := r.start()
		r.put("x", "-x")
		r.takes("a", "x created", "x ended")
		r.takes("b", "x created", "x ended", "x ended")
		ids := map[string]bool{}
		for _, q := range r.to.requests("") {
			ids[q.id] = true
		}
		for _, id := range []string{"0000000000000001_a_all", "0000000000000001_b_all", "0000000000000002_b_only"} {
			if !ids["01JD3ZK8V6Q4-"+id] {
				t.Errorf("there is no notification %s: %v", id, ids)
			}
		}
		r.acked()
		stop()
	})
}

// At debug the log has one line for each request, with its id and what came of it.
func TestDeliveryLog(t *testing.T) {
	inBubble(t, "targets:\n"+hook("a", "")+"rules:\n  r: {"+all+", targets: [a]}\n", func(r *rig) {
		stop := r.start()
		r.put("x")
		r.takes("a", "x created")
		r.to.answers(with(410))
		r.put("y")
		r.acked()
		stop()
		const line = `level=DEBUG msg="delivery attempt" target=a kind=webhook host=a.example id=01JD3ZK8V6Q4-000000000000000`
		log := r.log.String()
		if strings.Count(log, line) != 2 || !strings.Contains(log, line+"1_a_r rule=r took=0s error=<nil>") || !strings.Contains(log, line+`2_a_r rule=r took=0s error="status 410"`) {
			t.Errorf("the log says:\n%s", log)
		}
	})
}

// What happened before the first start is not told; what happened between two
// starts is, unless it is late.
func TestGoesOnWhereItWas(t *testing.T) {
	inBubble(t, "targets:\n"+hook("a", "")+"rules:\n  r: {"+all+", targets: [a]}\n", func(r *rig) {
		r.put("old")
		stop := r.start()
		r.put("x")
		r.takes("a", "x created")
		stop()
		r.put("late")
		time.Sleep(11 * time.Minute)
		r.put("y")
		stop = r.start()
		r.takes("a", "x created", "y created")
		time.Sleep(2 * time.Minute)
		if !strings.Contains(r.log.String(), `msg="late events skipped"`) {
			t.Errorf("nothing says that an event was late:\n%s", r.log)
		}
		r.acked()
		stop()
	})
}

// A target that asks for time gets it, all its notifications wait, and each of
// them is told in the end.
func TestRetryAfter(t *testing.T) {
	for name, header := range map[string]func() string{
		"seconds": func() string { return "20" },
		"date":    func() string { return time.Now().Add(20 * time.Second).UTC().Format(http.TimeFormat) },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, "targets:\n"+hook("a", "")+"rules:\n  r: {"+all+", targets: [a]}\n", func(r *rig) {
				stop := r.start()
				var asked atomic.Int32
				r.to.answers(func(w http.ResponseWriter, _ *http.Request) bool {
					if asked.Add(1) > 1 {
						return false
					}
					w.Header().Set("Retry-After", header())
					w.WriteHeader(http.StatusTooManyRequests)
					return true
				})
				began := time.Now()
				r.put("x")
				time.Sleep(5 * time.Second)
				r.put("y")
				r.until("both are told", func() bool { return len(r.to.requests("")) == 3 })
				for _, q := range r.to.requests("")[1:] {
					if waited := q.at.Sub(began); waited < 19*time.Second || waited > 25*time.Second {
						t.Errorf("tried after %s, want 20s", waited)
					}
				}
				r.acked()
				stop()
			})
		})
	}
}

// Each kind of failure ends in the notification being told, with the same id at
// every try.
func TestFailuresThatPass(t *testing.T) {
	hang := func(w http.ResponseWriter, r *http.Request) bool {
		select {
		case <-r.Context().Done():
		case <-time.After(time.Minute):
		}
		w.WriteHeader(http.StatusTeapot)
		return true
	}
	cut := func(w http.ResponseWriter, _ *http.Request) bool {
		conn, _, err := w.(*statusWriter).ResponseWriter.(http.Hijacker).Hijack()
		if err == nil {
			_ = conn.Close()
		}
		w.(*statusWriter).status = 0
		return true
	}
	half := func(w http.ResponseWriter, _ *http.Request) bool {
		conn, _, err := w.(*statusWriter).ResponseWriter.(http.Hijacker).Hijack()
		if err == nil {
			_, _ = conn.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"))
			_ = conn.Close()
		}
		w.(*statusWriter).status = 0
		return true
	}
	for name, fail := range map[string]func(http.ResponseWriter, *http.Request) bool{
		"500": with(500), "408": with(408), "425": with(425), "no answer": hang, "cut": cut, "cut in the answer": half,
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, "targets:\n"+hook("a", "")+"rules:\n  r: {"+all+", targets: [a]}\n", func(r *rig) {
				stop := r.start()
				var n atomic.Int32
				r.to.answers(func(w http.ResponseWriter, q *http.Request) bool { return n.Add(1) <= 3 && fail(w, q) })
				r.put("x")
				r.until("it is told", func() bool { return r.to.taken(t, "") == "x created" })
				time.Sleep(2 * time.Minute)
				if n.Load() != 4 {
					t.Errorf("%d tries, want 4:\n%s", n.Load(), r.requests())
				}
				for _, q := range r.to.requests("") {
					if q.id != "01JD3ZK8V6Q4-0000000000000001_a_r" {
						t.Errorf("id %s", q.id)
					}
				}
				if strings.Contains(r.log.String(), "target down") {
					t.Errorf("the log says that it was down:\n%s", r.log)
				}
				stop()
			})
		})
	}
}

// A target that is down holds up no event, and is told everything with the same
// ids when it is up again. The log has one line for each change.
func TestDownAndUp(t *testing.T) {
	inBubble(t, "targets:\n"+hook("a", "")+hook("b", "")+"rules:\n  r: {"+all+", targets: [a, b]}\n", func(r *rig) {
		stop := r.start()
		r.to.answers(func(w http.ResponseWriter, q *http.Request) bool {
			if q.Host == "a.example" {
				w.WriteHeader(http.StatusServiceUnavailable)
				return true
			}
			return false
		})
		r.put("x")
		r.until("it is down", func() bool { return strings.Contains(r.log.String(), "target down") })
		r.put("y", "z")
		r.takes("b", "x created", "y created", "z created")
		r.acked()
		if got, want := r.subjects(), "waiting.a.r 3"; got != want {
			t.Errorf("the store has %q, want %q", got, want)
		}
		time.Sleep(time.Hour)
		if n := len(r.to.requests("a.example")); n > 6+40 {
			t.Errorf("%d requests of a target that is down", n)
		}
		stop() // and a new one takes over
		stop = r.start()
		time.Sleep(time.Hour)
		r.put("w")
		r.to.answers(nil)
		r.takes("a", "x created", "y created", "z created", "w created")
		r.put("v")
		r.until("a is told at once", func() bool { return strings.HasSuffix(r.to.taken(t, "a.example"), "; v created") })
		if got := r.subjects(); got != "" {
			t.Errorf("the store still has %q", got)
		}
		if n := strings.Count(r.log.String(), `msg="target down"`); n != 1 {
			t.Errorf("%d lines say that it is down:\n%s", n, r.log)
		}
		// Each 15 minutes or at the next try after them, of the one and the other hour.
		if n := strings.Count(r.log.String(), `msg="target still down"`); n < 4 || n > 8 {
			t.Errorf("%d lines say that it is still down:\n%s", n, r.log)
		}
		if n := strings.Count(r.log.String(), `msg="target up"`); n != 1 {
			t.Errorf("%d lines say that it is up:\n%s", n, r.log)
		}
		stop()
	})
}

// A slow target delays no other.
func TestSlowTarget(t *testing.T) {
	inBubble(t, "targets:\n"+hook("a", ", timeout: 1m")+hook("b", "")+"rules:\n  r: {"+all+", targets: [a, b]}\n", func(r *rig) {
		stop := r.start()
		r.to.answers(func(_ http.ResponseWriter, q *http.Request) bool {
			if q.Host == "a.example" {
				time.Sleep(50 * time.Second)
			}
			return false
		})
		began := time.Now()
		for _, room := range strings.Split("abcdefghijklmnopqrstuvwxyz", "") {
			r.put(room)
		}
		r.until("b was told all", func() bool { return len(r.to.requests("b.example")) == 26 })
		if d := time.Since(began); d > 2*time.Second {
			t.Errorf("b was told after %s", d)
		}
		if n := len(r.to.requests("a.example")); n != 0 {
			t.Errorf("a is not slow: %d requests", n)
		}
		r.until("a was told all", func() bool { return len(r.to.requests("a.example")) == 26 })
		stop()
	})
}

// What a target refuses is kept with the reason, and the next is tried.
func TestRefused(t *testing.T) {
	redirect := func(to string, status int) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Location", to)
			w.WriteHeader(status)
			return true
		}
	}
	for name, refuse := range map[string]func(http.ResponseWriter, *http.Request) bool{
		"400":              with(400),
		"410":              with(410),
		"another host":     redirect("http://evil.example/x", 307),
		"another port":     redirect("http://a.example:8080/x", 307),
		"another scheme":   redirect("https://a.example/x", 308),
		"not a POST":       redirect("/x", 302),
		"round and round":  redirect("/path-hush", 307),
		"where to is open": with(308),
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, "targets:\n"+hook("a", "")+"rules:\n  r: {"+all+", targets: [a]}\n", func(r *rig) {
				stop := r.start()
				r.to.answers(refuse)
				r.put("x")
				r.until("it is kept", func() bool { return r.subjects() == "dead.a.r 1" })
				r.acked()
				r.to.answers(nil)
				r.put("y")
				r.takes("a", "y created")
				if n := len(r.to.requests("evil.example")); n != 0 {
					t.Errorf("%d requests went to another host", n)
				}
				if strings.Contains(r.log.String(), "hush") {
					t.Errorf("a secret is in the log:\n%s", r.log)
				}
				stop()
			})
		})
	}
}

// On the same host a redirect that keeps the POST is followed.
func TestRedirectOnTheSameHost(t *testing.T) {
	inBubble(t, "targets:\n"+hook("a", "")+"rules:\n  r: {"+all+", targets: [a]}\n", func(r *rig) {
		stop := r.start()
		r.to.answers(func(w http.ResponseWriter, q *http.Request) bool {
			if q.URL.Path == "/new" {
				return false
			}
			w.Header().Set("Location", "/new")
			w.WriteHeader(http.StatusPermanentRedirect)
			return true
		})
		r.put("x")
		r.takes("a", "x created")
		stop()
	})
}

// A milestone is told once for each life of a room, also when the count falls
// and rises again, and across a restart; another life has it again.
func TestMilestonesOnce(t *testing.T) {
	inBubble(t, "targets:\n"+hook("a", "")+"rules:\n  r: {milestones: [1000, 10000], targets: [a]}\n", func(r *rig) {
		stop := r.start()
		r.put("x=10", "x=999", "x=1000", "x=900", "x=1500")
		r.takes("a", "x 1000")
		stop()
		stop = r.start()
		r.put("x=900", "x=2000", "x=20000", "x=10", "x=30000")
		r.takes("a", "x 1000", "x 10000")
		r.put("-x")
		time.Sleep(2 * time.Second) // a new life has another CreateTime
		r.put("x=1200")
		r.takes("a", "x 1000", "x 10000", "x 1000")
		r.put("y=5", "y=50000")
		r.takes("a", "x 1000", "x 10000", "x 1000", "y 1000", "y 10000")
		r.acked()
		stop()
	})
}

// A milestone that only the end of a room shows is told with it, and once.
func TestMilestoneAtTheEnd(t *testing.T) {
	inBubble(t, "targets:\n"+hook("a", "")+"rules:\n  r: {milestones: [1000], targets: [a]}\n", func(r *rig) {
		stop := r.start()
		r.put("x=10", "x=999", "-x=1001", "y=10", "y=1000", "-y=1002", "z=10", "-z=11")
		r.takes("a", "x 1000", "y 1000")
		r.acked()
		r.takes("a", "x 1000", "y 1000")
		stop()
	})
}

// An event that NATS delivers again, because roomnotify died before it said that
// it was told, tells its milestone again with the same id.
func TestMilestoneAfterACrash(t *testing.T) {
	inBubble(t, "targets:\n"+hook("a", "")+"rules:\n  r: {milestones: [1000], targets: [a]}\n", func(r *rig) {
		stop := r.start()
		s, err := openStore(r.t.Context(), r.js, storeConfig{name: "notify"}, false)
		if err != nil {
			t.Fatal(err)
		}
		// The dead one had noted it and got no further.
		e := r.next("x=2000")
		if first, err := s.told(r.t.Context(), "a", "r", e, 1000); err != nil || !first {
			t.Fatalf("%t, %v", first, err)
		}
		r.seq--
		delete(r.of, "x")
		r.put("x=2000")
		r.takes("a", "x 1000")
		stop()
	})
}
