package daemon

import (
	"errors"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/poller/simulator"
	"roomwatch/publisher/events"
)

const resumedOn = "live.watch.resumed.88888888"

// messages returns the bodies of what the stream has on a subject, oldest first.
func (w *week) messages(subject string) (bodies [][]byte) {
	w.t.Helper()
	js, err := jetstream.New(w.nc)
	if err != nil {
		w.t.Fatal(err)
	}
	s, err := js.Stream(w.t.Context(), "LIVE")
	if err != nil {
		w.t.Fatal(err)
	}
	for seq := uint64(1); ; {
		m, err := s.GetMsg(w.t.Context(), seq, jetstream.WithGetMsgSubject(subject))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return bodies
		}
		if err != nil {
			w.t.Fatal(err)
		}
		bodies, seq = append(bodies, m.Data), m.Sequence+1
	}
}

// wantGaps fails unless so many gaps were told, and returns the newest.
func (w *week) wantGaps(when string, n int) (newest events.ResumedData) {
	w.t.Helper()
	all := w.messages(resumedOn)
	if len(all) != n {
		w.t.Fatalf("%s %d gaps were told, want %d: %s", when, len(all), n, all)
	}
	if n == 0 {
		return newest
	}
	r, err := events.DecodeResumed(all[n-1])
	if err != nil {
		w.t.Fatal(err)
	}
	return r.Data
}

// wantGap fails unless the newest gap is from one moment to another, within a sweep.
func (w *week) wantGap(when string, n int, from, to time.Time, why string) {
	w.t.Helper()
	g := w.wantGaps(when, n)
	near := func(got, want time.Time) bool { return got.Sub(want).Abs() <= 15*time.Second }
	if !near(g.From, from) || !near(g.To, to) || g.Why != why {
		w.t.Errorf("%s %+v is told, want from %v to %v, %s", when, g, from, to, why)
	}
}

func (w *week) away(d time.Duration) {
	w.stop()
	w.live(d)
	w.start(w.config)
	w.live(2 * time.Minute)
}

func (w *week) loses(d time.Duration) {
	w.bury(anyMoment, 1)
	if err := os.Remove(w.config.StatePath()); err != nil {
		w.t.Fatal(err)
	}
	w.live(d)
	w.start(w.config)
	w.live(2 * time.Minute)
}

// A gap in the watch is told once, with its bounds and its reason, and the events whose
// change may lie in it say so; nothing else is a gap.
func TestGapIsTold(t *testing.T) {
	weekPlan{Seed: 1, Rooms: 30, Interval: 10 * time.Second, Reads: 50}.run(t, func(w *week) {
		t := w.t // of the bubble
		w.service.Freeze()
		told := map[string]events.Event{}
		w.judge.heard = func(e events.Event) { told[e.Subject+" "+string(e.Type)] = e }
		do := func(id string, f func(id string) error) {
			t.Helper()
			if err := f(id); err != nil {
				t.Fatal(err)
			}
		}
		w.live(2 * time.Minute)
		w.away(30 * time.Second)
		w.wantGaps("after 30 s", 0)

		live := w.service.Truth().Live()
		stopped := time.Now()
		w.stop()
		w.live(5 * time.Minute)
		do(live[3].RoomID, w.service.Close)
		do("unseen", w.service.Open)
		w.live(5 * time.Minute)
		w.start(w.config)
		w.live(2 * time.Minute)
		w.wantGap("after ten minutes", 1, stopped, stopped.Add(10*time.Minute), "stopped")
		do(live[5].RoomID, w.service.Close)
		do("seen", w.service.Open)
		w.live(2 * time.Minute)
		w.read()
		for event, want := range map[string]bool{
			live[3].RoomID + " room.ended": true, "unseen room.created": true, live[5].RoomID + " room.ended": false, "seen room.created": false,
		} {
			if e, ok := told[event]; !ok || e.Data.Gap != want {
				t.Errorf("%s: told %t, gap %t, want %t: %+v", event, ok, e.Data.Gap, want, e.Data)
			}
		}

		began := time.Now()
		down := func(int, *http.Request) *simulator.Fault { return &simulator.Fault{Status: http.StatusBadGateway} }
		w.faults.list.Store(&down)
		w.live(5 * time.Minute)
		w.faults.clear()
		w.live(3 * time.Minute)
		if g := w.wantGaps("after a service that was away", 2); g.Why != "unreachable" || g.From.After(began) || g.To.Before(began.Add(4*time.Minute)) {
			t.Errorf("a service that was away from %v on: %+v", began, g)
		}

		w.loses(30 * time.Second)
		w.wantGaps("after a rebuild", 2)
		lost := time.Now()
		w.loses(10 * time.Minute)
		g := w.wantGaps("after a rebuild that came late", 3)
		if g.Why != "stopped" || g.From.After(lost) || lost.Sub(g.From) > 90*time.Second || g.To.Before(lost.Add(10*time.Minute)) {
			t.Errorf("a state that was lost at %v: %+v", lost, g)
		}
		w.read()
		w.report()
		if s := w.judge.verifier.Summary(); s.Gaps != 3 || s.Pulses < 20 {
			t.Errorf("verify counts %d gaps and %d pulses", s.Gaps, s.Pulses)
		}
		w.settle()
	})
}

// A process that dies before it hears that the stream has its gap does not tell it again.
func TestGapIsToldOnceOverAKill(t *testing.T) {
	weekPlan{Seed: 2, Rooms: 30, Interval: 10 * time.Second, Reads: 50}.run(t, func(w *week) {
		w.live(2 * time.Minute)
		w.stop()
		w.live(10 * time.Minute)
		w.start(w.config)
		w.bury(gapTold, 1)
		if w.deaths[gapTold] != 1 {
			w.t.Fatal("it was not killed when the stream had the gap")
		}
		w.wantGaps("at the kill", 1)
		w.live(time.Minute)
		w.start(w.config)
		w.live(5 * time.Minute)
		w.wantGaps("after it", 1)
		if _, waits := w.current.Load().d.store.Gap(); waits {
			w.t.Error("the gap still waits")
		}
		w.settle()
	})
}

// While NATS is away the watch goes on: there is no gap. One that ended meanwhile is
// told when NATS is back.
func TestGapWhileNATSIsAway(t *testing.T) {
	weekPlan{Seed: 3, Rooms: 30, Interval: 10 * time.Second, Reads: 50}.run(t, func(w *week) {
		w.live(2 * time.Minute)
		w.nats.Down()
		w.live(10 * time.Minute)
		w.nats.Up()
		w.live(3 * time.Minute)
		w.wantGaps("after NATS was away", 0)

		w.nats.Down()
		began := time.Now()
		down := func(int, *http.Request) *simulator.Fault { return &simulator.Fault{Drop: true} }
		w.faults.list.Store(&down)
		w.live(6 * time.Minute)
		w.faults.clear()
		w.live(5 * time.Minute)
		w.nats.Up()
		w.live(2 * time.Minute)
		if g := w.wantGaps("after both were away", 1); g.Why != "unreachable" || g.From.After(began) || g.To.Before(began.Add(5*time.Minute)) {
			w.t.Errorf("both were away from %v on: %+v", began, g)
		}
		w.settle()
	})
}
