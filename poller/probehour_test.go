package poller

import (
	"testing"
	"testing/synctest"
	"time"

	"roomwatch/poller/simulator"
)

// The status says how many places are known, and what the probes of the last hour have
// shown; nothing of it where there are none.
func TestProbeStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := watch(t, lively(simulator.NextRank), Config{ProbeShare: 0.25, Interval: time.Second})
		if s := p.poll.Status().Probes; s == nil || *s != (ProbeStatus{}) {
			t.Errorf("at the start: %+v", s)
		}
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		s := p.poll.Status().Probes
		_, probes := p.counts()
		if s.Places < 40 || s.Probes != uint64(probes) || probes < 100 || s.Found < 50 || s.Found > 400 {
			t.Errorf("%+v after %d probes", s, probes)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		p := watch(t, lively(simulator.NextRank), Config{Interval: time.Second})
		if s := p.poll.Status().Probes; s != nil {
			t.Errorf("without probes: %+v", s)
		}
	})
}

// What is older than an hour is forgotten, minute by minute.
func TestProbeHour(t *testing.T) {
	var h probeHour
	now := time.Unix(1_800_000_000, 0)
	for range 100 {
		h.add(2, now)
		now = now.Add(time.Minute)
	}
	for after, want := range map[time.Duration]uint64{-time.Minute: 60, 0: 59, 30 * time.Minute: 29, time.Hour: 0, 90 * time.Minute: 0, -2 * time.Hour: 0} {
		if probes, found := h.sum(now.Add(after)); probes != want || found != 2*want {
			t.Errorf("%v later: %d probes found %d, want %d", after, probes, found, want)
		}
	}
	h.add(0, now.Add(time.Hour))
	if probes, found := h.sum(now.Add(time.Hour)); probes != 1 || found != 0 {
		t.Errorf("afterwards: %d probes found %d", probes, found)
	}
}
