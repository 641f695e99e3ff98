package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"roomwatch/cmd/roomnotify/form"
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

// What waits for a rule that is gone is not read repeatedly.
func TestAbandonedIsNotRescanned(t *testing.T) {
	inBubble(t, "targets:\n"+hook("a", "")+"rules:\n  r: {"+all+", targets: [a]}\n", func(r *rig) {
		s, err := openStore(r.t.Context(), r.js, storeConfig{name: "notify", replicas: 1, maxAge: time.Hour}, true)
		if err != nil {
			t.Fatal(err)
		}
		const abandoned = 200
		for i := range abandoned {
			if _, err := s.wait(r.t.Context(), form.New(r.next(fmt.Sprintf("x%d", i)), "gone", "a", 0), "down", 0); err != nil {
				t.Fatal(err)
			}
		}
		var reads atomic.Int32
		if _, err := r.js.Conn().Subscribe("$JS.API.STREAM.MSG.GET.NOTIFY", func(*nats.Msg) { reads.Add(1) }); err != nil {
			t.Fatal(err)
		}
		stop := r.start()
		r.to.answers(with(500))
		r.put("y")
		time.Sleep(10 * time.Minute)
		if n := reads.Load(); n == 0 || n > abandoned {
			t.Errorf("%d reads in ten minutes", n)
		}
		r.to.answers(nil)
		r.takes("a", "y created")
		if got, want := r.subjects(), fmt.Sprintf("waiting.a.gone %d", abandoned); got != want {
			t.Errorf("the store has %s, want %s", got, want)
		}
		stop()
	})
}

// What is remembered of notifications that fail is bounded.
func TestFailuresAreBounded(t *testing.T) {
	inBubble(t, "targets:\n"+hook("a", "")+"rules:\n  r: {"+all+", targets: [a]}\n", func(r *rig) {
		g := newTarget(r.t.Context(), &r.file.Targets[0], r.file.Of("a"), nil, nil, nil, uncounted(), slog.New(slog.DiscardHandler))
		for i := range 5 * maxFailing {
			n := form.Notification{ID: fmt.Sprint(i)}
			for try := 1; try <= 2; try++ {
				if tries, alone := g.fails(n); tries != try || alone {
					r.t.Fatalf("try %d of %s is counted as %d, alone: %t", try, n.ID, tries, alone)
				}
			}
			if len(g.failing) > maxFailing {
				r.t.Fatalf("%d are remembered", len(g.failing))
			}
		}
	})
}

// So are the answers: what was answered just now is not asked again, however many
// there were before.
func TestAnswersAreBounded(t *testing.T) {
	inBubble(t, "targets:\n"+hook("a", "")+"rules:\n  r: {"+all+", targets: [a]}\n", func(r *rig) {
		sent := 0
		send := func(context.Context, form.Notification) error { sent++; return nil }
		g := newTarget(r.t.Context(), &r.file.Targets[0], r.file.Of("a"), nil, send, nil, uncounted(), slog.New(slog.DiscardHandler))
		for i := range maxAnswers + 10 {
			for range 2 {
				if err := g.once(r.t.Context(), form.Notification{ID: fmt.Sprint(i)}); err != nil {
					t.Fatal(err)
				}
			}
		}
		if sent != maxAnswers+10 {
			t.Errorf("%d requests, want %d", sent, maxAnswers+10)
		}
		for i, want := range map[int]bool{0: false, 9: false, 10: true, maxAnswers + 9: true} {
			if known, _ := g.answer(fmt.Sprint(i)); known != want {
				t.Errorf("the answer to %d is known: %t", i, known)
			}
		}
	})
}
