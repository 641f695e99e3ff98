package main

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// isEvent reports whether a request tells an event.
func isEvent(q *http.Request, event int) bool {
	return strings.HasPrefix(q.Header.Get("webhook-id"), fmt.Sprintf("01JD3ZK8V6Q4-%016d_", event))
}

// busy answers 429 and asks to be left alone for some seconds.
func busy(w http.ResponseWriter, seconds string) bool {
	w.Header().Set("Retry-After", seconds)
	w.WriteHeader(http.StatusTooManyRequests)
	return true
}

// The answer to a request that was on its way does not shorten what the target
// asked for meanwhile.
func TestAnswerInFlightEndsNoThrottling(t *testing.T) {
	for name, status := range map[string]int{"taken": 200, "refused": 400, "failed": 500} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, "targets:\n"+hook("a", ", tries: 1")+"rules:\n  r: {"+all+", targets: [a]}\n", func(r *rig) {
				stop := r.start()
				r.to.answers(func(w http.ResponseWriter, q *http.Request) bool {
					switch {
					case isEvent(q, 1):
						time.Sleep(5 * time.Second)
						w.WriteHeader(status)
						return true
					case isEvent(q, 2) && len(r.to.requests("")) == 0:
						return busy(w, "120")
					}
					return false
				})
				began := time.Now()
				r.put("slow", "busy")
				time.Sleep(10 * time.Second)
				r.put("x")
				r.until("x is told", func() bool { return strings.Contains(r.to.taken(t, ""), "x created") })
				for _, q := range r.to.requests("")[2:] {
					if waited := q.at.Sub(began); waited < 119*time.Second {
						t.Errorf("%s was sent after %s, and the target had asked for 120s:\n%s", q.id, waited, r.requests())
					}
				}
				stop()
			})
		})
	}
}

// A target that becomes busy while it is told what has waited gets nothing more
// than what was on its way.
func TestBusyAmongWhatHasWaited(t *testing.T) {
	inBubble(t, "targets:\n"+hook("a", ", tries: 1")+"rules:\n  r: {"+all+", targets: [a]}\n", func(r *rig) {
		stop := r.start()
		r.to.answers(with(500))
		var list []string
		for i := range 100 {
			list = append(list, fmt.Sprintf("x%d", i))
		}
		r.put(list...)
		r.acked()
		before := len(r.to.requests(""))
		var answered atomic.Int32
		r.to.answers(func(w http.ResponseWriter, _ *http.Request) bool {
			return answered.Add(1) > 10 && busy(w, "120")
		})
		r.until("it is busy", func() bool { return answered.Load() > 10 })
		time.Sleep(time.Minute)
		if n := len(r.to.requests("")) - before; n > 10+workers(&r.file.Targets[0]) {
			t.Errorf("%d requests after the first busy answer", n-10)
		}
		r.to.answers(nil)
		r.until("all are told", func() bool { return strings.Count(r.to.taken(t, ""), "created") == 100 })
		stop()
	})
}
