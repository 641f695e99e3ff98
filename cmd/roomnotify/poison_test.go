package main

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// refuses answers 500 to the notifications of one event, and takes all others.
func refuses(event int) func(http.ResponseWriter, *http.Request) bool {
	id := fmt.Sprintf("01JD3ZK8V6Q4-%016d_", event)
	return func(w http.ResponseWriter, q *http.Request) bool {
		if strings.HasPrefix(q.Header.Get("webhook-id"), id) {
			w.WriteHeader(http.StatusInternalServerError)
			return true
		}
		return false
	}
}

// A notification that a receiver always answers with 500 is set aside with its
// reason, and those behind it are told, in their order.
func TestFailsAlone(t *testing.T) {
	for name, tries := range map[string]string{"default": "", "one try": ", tries: 1"} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, "targets:\n"+hook("a", tries)+"rules:\n  r: {"+all+", targets: [a]}\n", func(r *rig) {
				stop := r.start()
				r.to.answers(refuses(2))
				r.put("ok1", "poison")
				time.Sleep(3 * time.Minute) // it is down by then
				r.put("ok2", "ok3")
				r.takes("a", "ok1 created", "ok2 created", "ok3 created")
				r.until("it is set aside", func() bool { return r.subjects() == "dead.a.r 1" })
				r.put("ok4")
				r.takes("a", "ok1 created", "ok2 created", "ok3 created", "ok4 created")
				stop()
				if log := r.log.String(); !strings.Contains(log, "while others were accepted: status 500") {
					t.Errorf("nothing says why:\n%s", log)
				}
			})
		})
	}
}

// Where nothing else comes for long, one that fails, or a few of them, delay the
// next ones by less than a minute each.
func TestFailsAloneForLong(t *testing.T) {
	for poisons := 1; poisons <= maxSuspects; poisons++ {
		t.Run(fmt.Sprint(poisons), func(t *testing.T) {
			inBubble(t, "targets:\n"+hook("a", "")+"rules:\n  r: {"+all+", targets: [a]}\n", func(r *rig) {
				stop := r.start()
				r.to.answers(func(w http.ResponseWriter, q *http.Request) bool {
					for i := range poisons {
						if isEvent(q, i+1) {
							w.WriteHeader(http.StatusInternalServerError)
							return true
						}
					}
					return false
				})
				for i := range poisons {
					r.put(fmt.Sprintf("poison%d", i))
				}
				time.Sleep(2 * time.Hour)
				began := time.Now()
				r.put("ok1")
				r.takes("a", "ok1 created")
				if waited := time.Since(began); waited > time.Minute {
					t.Errorf("told after %s", waited)
				}
				r.until("they are set aside", func() bool { return r.subjects() == fmt.Sprintf("dead.a.r %d", poisons) })
				if waited := time.Since(began); waited > time.Duration(poisons)*2*time.Minute {
					t.Errorf("set aside after %s", waited)
				}
				stop()
			})
		})
	}
}

// A target that is down, and not for one notification, is asked less and less
// often, whatever comes for it.
func TestDownIsLeftAlone(t *testing.T) {
	inBubble(t, "targets:\n"+hook("a", "")+"rules:\n  r: {"+all+", targets: [a]}\n", func(r *rig) {
		stop := r.start()
		r.to.answers(with(500))
		for i := range 60 {
			r.put(fmt.Sprintf("x%d", i))
			time.Sleep(time.Minute)
		}
		began, last := 0, time.Now().Add(-30*time.Minute)
		for _, q := range r.to.requests("") {
			if q.at.After(last) {
				began++
			}
		}
		if began > 2*12 {
			t.Errorf("%d requests in half an hour, want two each five minutes or nearly", began)
		}
		stop()
	})
}

// The same while others are taken all the time: the target is never down.
func TestFailsAloneAmongOthers(t *testing.T) {
	inBubble(t, "targets:\n"+hook("a", "")+"rules:\n  r: {"+all+", targets: [a]}\n", func(r *rig) {
		stop := r.start()
		r.to.answers(refuses(1))
		r.put("poison")
		for i := range 80 {
			r.put(fmt.Sprintf("x%d", i))
			time.Sleep(time.Second)
		}
		r.until("it is set aside", func() bool { return r.subjects() == "dead.a.r 1" })
		if strings.Contains(r.log.String(), "target down") {
			t.Errorf("the log says that it was down:\n%s", r.log)
		}
		stop()
	})
}

// An outage sets nothing aside, however many notifications it meets on their way.
func TestOutageIsNoPoison(t *testing.T) {
	inBubble(t, "targets:\n"+hook("a", "")+"rules:\n  r: {"+all+", targets: [a]}\n", func(r *rig) {
		stop := r.start()
		r.put("ok")
		r.takes("a", "ok created")
		r.to.answers(with(500))
		want := []string{"ok created"}
		for i := range 20 {
			r.put(fmt.Sprintf("x%d", i))
			want = append(want, fmt.Sprintf("x%d created", i))
		}
		time.Sleep(time.Hour)
		r.to.answers(nil)
		r.until("all are told", func() bool { return len(strings.Split(r.to.taken(t, ""), "; ")) == len(want) })
		r.until("nothing is kept", func() bool { return r.subjects() == "" })
		stop()
	})
}

// A digest that fails alone holds up its rule no more than another notification does.
func TestDigestFailsAlone(t *testing.T) {
	inBubble(t, "targets:\n"+hook("a", "")+"rules:\n  r: {"+all+", limit: 1, targets: [a]}\n", func(r *rig) {
		stop := r.start()
		r.to.answers(func(w http.ResponseWriter, q *http.Request) bool {
			if strings.Contains(q.Header.Get("webhook-id"), "0000000000000002_a_r_digest") {
				w.WriteHeader(http.StatusInternalServerError)
				return true
			}
			return false
		})
		r.put("x1", "x2", "x3")
		time.Sleep(5 * time.Minute)
		r.put("y1", "y2")
		r.until("it is set aside", func() bool { return r.subjects() == "dead.a.r 1" })
		if got := r.to.taken(t, ""); !strings.HasPrefix(got, "x1 created; y1 created") || !strings.Contains(got, "y2") {
			t.Errorf("taken: %s", got)
		}
		stop()
	})
}

// A chat that takes one message each 25 seconds gets all of them, in their order:
// what waits for it is not late, and the chat is not down.
func TestThrottledIsNeitherLateNorDown(t *testing.T) {
	inBubble(t, "targets:\n"+hook("a", "")+"rules:\n  r: {"+all+", targets: [a]}\n", func(r *rig) {
		stop := r.start()
		var mu sync.Mutex
		var last time.Time
		r.to.answers(func(w http.ResponseWriter, _ *http.Request) bool {
			mu.Lock()
			defer mu.Unlock()
			if time.Since(last) < 25*time.Second {
				w.Header().Set("Retry-After", "25")
				w.WriteHeader(http.StatusTooManyRequests)
				return true
			}
			last = time.Now()
			return false
		})
		for i := range 45 {
			r.put(fmt.Sprintf("x%d", i))
		}
		r.until("all are told", func() bool { return strings.Count(r.to.taken(t, ""), "created") == 45 })
		if log := r.log.String(); strings.Contains(log, "late events") || strings.Contains(log, "target down") || !strings.Contains(log, "target throttled") {
			t.Errorf("the log says:\n%s", log)
		}
		stop()
	})
}

// Neither is late what waits for a target that answers slowly, be it in memory or
// on the stream.
func TestSlowIsNotLate(t *testing.T) {
	inBubble(t, "targets:\n"+hook("a", ", timeout: 1m")+"rules:\n  r: {"+all+", late_after: 1m, targets: [a]}\n", func(r *rig) {
		stop := r.start()
		r.to.answers(func(http.ResponseWriter, *http.Request) bool {
			time.Sleep(40 * time.Second)
			return false
		})
		for i := range 300 { // more than wait in memory
			r.put(fmt.Sprintf("x%d", i))
		}
		r.until("all are told", func() bool { return len(r.to.requests("")) == 300 })
		stop()
	})
}

// What came while NATS could not be reached is late by as long.
func TestLateWhileNATSIsAway(t *testing.T) {
	w := newWatch(time.Unix(500, 0), time.Unix(1000, 0))
	at := func(s int64) time.Time { return time.Unix(s, 0) }
	w.look(at(2001), false)
	w.look(at(2002), false)
	w.look(at(3000), true)
	w.look(at(3001), true)
	for stored, want := range map[int64]int64{10: 10, 499: 499, 500: 1000, 999: 1000, 1000: 1000, 1500: 1500, 2000: 2000, 2001: 3000, 2999: 3000, 3000: 3000, 3500: 3500} {
		if got := w.seen(at(stored)); !got.Equal(at(want)) {
			t.Errorf("stored at %d is seen at %d, want %d", stored, got.Unix(), want)
		}
	}
}

// One Retry-After of months stops a target for an hour.
func TestRetryAfterOfMonths(t *testing.T) {
	inBubble(t, "targets:\n"+hook("a", "")+"rules:\n  r: {"+all+", targets: [a]}\n", func(r *rig) {
		stop := r.start()
		var once sync.Once
		r.to.answers(func(w http.ResponseWriter, _ *http.Request) (asks bool) {
			once.Do(func() {
				w.Header().Set("Retry-After", "9999999")
				w.WriteHeader(http.StatusTooManyRequests)
				asks = true
			})
			return asks
		})
		began := time.Now()
		r.put("x", "y")
		r.takes("a", "x created", "y created")
		if waited := time.Since(began); waited < 59*time.Minute || waited > 62*time.Minute {
			t.Errorf("told after %s, want 1h", waited)
		}
		stop()
	})
}

// While NATS is away nobody hears an event again, whatever the target answered.
func TestToldOnceWhileNATSIsAway(t *testing.T) {
	for name, status := range map[string]int{"taken": 200, "refused": 400} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, "targets:\n"+hook("a", "")+"rules:\n  r1: {"+all+", targets: [a]}\n  r2: {"+all+", quiet: {from: \"00:00\", to: \"23:00\", zone: UTC}, targets: [a]}\n", func(r *rig) {
				stop := r.start()
				var once sync.Once
				r.to.answers(func(w http.ResponseWriter, _ *http.Request) bool {
					once.Do(r.srv.Down)
					w.WriteHeader(status)
					return true
				})
				r.put("y")
				time.Sleep(time.Hour)
				r.srv.Up()
				r.until("the other rule holds it", func() bool {
					s, err := r.js.Stream(r.t.Context(), "NOTIFY")
					return err == nil && s != nil && strings.Contains(r.subjects(), "held.a.r2 1")
				})
				r.acked()
				if n := len(r.to.requests("")); n != 1 || strings.Contains(r.log.String(), "late events") {
					t.Errorf("told %d times:\n%s", n, r.requests())
				}
				stop()
			})
		})
	}
}

// A digest that was told while NATS went away is not told again when it is back.
func TestDigestOnceWhileNATSIsAway(t *testing.T) {
	inBubble(t, "targets:\n"+hook("a", "")+"rules:\n  r: {"+all+", limit: 1, targets: [a]}\n", func(r *rig) {
		stop := r.start()
		r.to.answers(func(_ http.ResponseWriter, q *http.Request) bool {
			if strings.Contains(q.Header.Get("webhook-id"), "digest") {
				r.srv.Down()
			}
			return false
		})
		r.put("x1", "x2", "x3")
		r.until("the digest is told", func() bool { return len(r.to.requests("")) == 2 })
		time.Sleep(10 * time.Minute)
		r.to.answers(nil)
		r.srv.Up()
		r.until("it is removed", func() bool {
			_, err := r.js.Stream(r.t.Context(), "NOTIFY")
			return err == nil && r.subjects() == ""
		})
		if n := len(r.to.requests("")); n != 2 {
			t.Errorf("%d requests:\n%s", n, r.requests())
		}
		stop()
	})
}

// A service's limit by the second is kept to: a burst makes no chat busy.
func TestPace(t *testing.T) {
	for kind, pace := range map[string]struct {
		most int
		in   time.Duration
	}{"slack": {1, time.Second}, "discord": {5, 2 * time.Second}, "feishu": {5, time.Second}, "wecom": {1, time.Second}, "dingtalk": {1, time.Second}, "telegram": {1, time.Second}} {
		t.Run(kind, func(t *testing.T) {
			more := ""
			if kind == "telegram" {
				more = ", token: \"${T}\", chat: \"1\""
			}
			inBubble(t, "targets:\n  a: {kind: "+kind+", url: \"${A}\""+more+"}\nrules:\n  r: {"+all+", targets: [a]}\n", func(r *rig) {
				stop := r.start()
				for i := range 12 {
					r.put(fmt.Sprintf("x%d", i))
				}
				r.until("all are told", func() bool { return len(r.to.requests("")) == 12 })
				got := r.to.requests("")
				for i := pace.most; i < len(got); i++ {
					if d := got[i].at.Sub(got[i-pace.most].at); d < pace.in {
						t.Errorf("%d requests within %s", pace.most+1, d)
					}
				}
				if waited := got[11].at.Sub(got[0].at); waited > 13*time.Second {
					t.Errorf("12 notifications took %s", waited)
				}
				stop()
			})
		})
	}
}

// A limit of 0 is none at all; any other leaves the service's limit by the second.
func TestPaceWithALimit(t *testing.T) {
	for limit, want := range map[int]struct{ least, most time.Duration }{0: {0, time.Second}, 600: {11 * time.Second, 13 * time.Second}} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			inBubble(t, fmt.Sprintf("targets:\n  a: {kind: slack, url: \"${A}\", limit: %d}\nrules:\n  r: {%s, targets: [a]}\n", limit, all), func(r *rig) {
				stop := r.start()
				for i := range 12 {
					r.put(fmt.Sprintf("x%d", i))
				}
				r.until("all are told", func() bool { return len(r.to.requests("")) == 12 })
				got := r.to.requests("")
				if took := got[11].at.Sub(got[0].at); took < want.least || took > want.most {
					t.Errorf("12 notifications took %s", took)
				}
				stop()
			})
		})
	}
}

// No minute, wherever it begins, has more than the limit.
func TestLimitOfAnyMinute(t *testing.T) {
	w, now := window{limit: 3}, time.Unix(0, 0)
	var passed []time.Time
	for range 2000 {
		if !w.due(now).After(now) {
			w.take(now)
			passed = append(passed, now)
		}
		now = now.Add(7 * time.Second / 10)
	}
	for i := 3; i < len(passed); i++ {
		if d := passed[i].Sub(passed[i-3]); d < time.Minute {
			t.Fatalf("four within %s", d)
		}
	}
	if len(passed) < 3*20 {
		t.Errorf("%d passed", len(passed))
	}
}
